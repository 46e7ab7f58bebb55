import { PassThrough, Readable } from 'node:stream';
import { waitFor } from '@balados/testing';
import { readBody } from './read-body';

const MiB = 1_048_576;
const body = (): Readable => Readable.from([Buffer.alloc(600_000, 'x')]);

it('reads no more at a time than there is memory for, all bodies together', async () => {
  const limits = { maxBytes: MiB, budget: { bytes: MiB } };
  const slow = new PassThrough();
  const asked = readBody(slow, '', limits);
  slow.write(Buffer.alloc(600_000, 'x'));
  await waitFor(() => limits.budget.bytes < 600_000, { what: 'the first to be read' });
  await expect(readBody(body(), '', limits)).rejects.toMatchObject({ code: 'busy' });
  slow.end();
  expect(await asked).toHaveLength(600_000);
  expect(limits.budget.bytes).toBe(MiB);
  expect(await readBody(body(), '', limits)).toHaveLength(600_000);
});

it('gives the memory back of what it did not read to its end', async () => {
  const limits = { maxBytes: 100_000, budget: { bytes: MiB } };
  await expect(readBody(body(), '', limits)).rejects.toMatchObject({ code: 'too_large' });
  await expect(readBody(body(), 'gzip', limits)).rejects.toMatchObject({ code: 'too_large' });
  await expect(readBody(body(), 'zstd', limits)).rejects.toMatchObject({ code: 'bad_encoding' });
  const broken = new PassThrough();
  const asked = readBody(broken, '', limits);
  broken.write('x');
  broken.destroy(new Error('cut off'));
  await expect(asked).rejects.toThrow('cut off');
  expect(limits.budget.bytes).toBe(MiB);
});
