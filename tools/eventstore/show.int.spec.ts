import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { NO_EVENTS } from '@balados/event-sourcing';
import { openEventStore } from '@balados/platform-stores';
import { startStores } from '../bench/systems';

const main = resolve(__dirname, '../run.mjs');
const recordedAt = '2026-01-02T03:04:05.678Z';

let stores: Awaited<ReturnType<typeof startStores>>;
beforeAll(async () => {
  stores = await startStores();
}, 60_000);
afterAll(() => stores?.stop());

function shown(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    ...process.env,
    EVENTSTORE_URL: stores.eventStore,
    USERS_DATABASE_URL: 'postgres://none',
    SITE_DATABASE_URL: 'postgres://none',
  };
  return new Promise((done) => {
    execFile(process.execPath, [main, 'eventstore', ...args], { env }, (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

it("shows a stream's events, and what they say only when asked for it", async () => {
  const stream = `listening-${randomUUID()}`;
  const events = ['one', 'two', 'three'].map((text) => ({
    id: randomUUID(),
    type: 'PlayRecorded',
    data: { text },
    metadata: { recordedAt, correlationId: `of ${text}`, deviceName: "Ada's phone" },
  }));
  const store = openEventStore({ url: stores.eventStore });
  await store.append(stream, NO_EVENTS, events);
  await store.close();

  const { stdout } = await shown('show', stream, '--from', '1');
  const lines = stdout
    .trim()
    .split('\n')
    .filter((line) => line.startsWith('{'));
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    [1, 2].map((revision) => ({
      revision,
      position: expect.stringMatching(/^\d+$/),
      type: 'PlayRecorded',
      recordedAt,
      correlationId: events[revision]!.metadata.correlationId,
    })),
  );
  expect((await shown('show', stream, '--data')).stdout).toContain('{"text":"three"}');
}, 60_000);

it('says that there is nothing, and what it does not take', async () => {
  expect(await shown('show', 'listening-nobody')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('listening-nobody has no events from revision 0 on.'),
  });
  expect(await shown('show', 'listening-nobody', '--to', 'there')).toMatchObject({ code: 2, stdout: '' });
}, 60_000);
