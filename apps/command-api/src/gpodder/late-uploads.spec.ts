import { randomUUID } from 'node:crypto';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { allPlays } from '@balados/users-domain';
import { GetEpisodeActions, GetEpisodeActionsHandler } from '@balados/users-read';
import { openListenerStreams, ReportEpisodeActions, ReportEpisodeActionsHandler } from '@balados/users-write';
import fc from 'fast-check';
import { readActions, reportedAction, tellable, writtenAction } from './actions';
import { since } from './wire';

const START = Date.UTC(2026, 0, 1);
const HOUR_S = 3_600;
const DEVICES = 4;
/** An app uploads within this time of having asked, in seconds, and our copies' clocks are so far off; together less than the overlap. */
const UPLOADED_WITHIN_S = 25;
const CLOCKS_OFF_S = 14;

const step = fc.record({
  does: fc.constantFrom('listen', 'listen', 'ask', 'upload', 'play'),
  device: fc.nat({ max: DEVICES - 1 }),
  copy: fc.nat({ max: 1 }),
  episode: fc.nat({ max: 2 }),
  waitS: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 3 * 24 * HOUR_S })),
});
const lives = fc.record({
  steps: fc.array(step, { maxLength: 60 }),
  skewsS: fc.array(fc.integer({ min: -9 * HOUR_S, max: 9 * HOUR_S }), { minLength: DEVICES, maxLength: DEVICES }),
  copiesS: fc.tuple(...[0, 1].map(() => fc.integer({ min: -CLOCKS_OFF_S / 2, max: CLOCKS_OFF_S / 2 }))),
});

const namesOf = (episode: number) => ({
  feed: 'https://feeds.example/a',
  item: `,https://media.example/${episode}.mp3`,
});

/** Days of a listener whose devices are away for as long as they like, on two copies of the service that share a store. */
class Days {
  private readonly store = new InMemoryEventStore(() => Promise.resolve());
  private readonly speaker = { userId: randomUUID(), correlationId: 'test' };
  private readonly copies;
  private readonly devices;
  private now = START;
  private said = 0;
  /** Of each place, which is another one each time, its date as it counts, and whether an app told it. */
  private readonly sent: { episode: number; position: number; at: number; isTold: boolean }[] = [];
  /** Places that stood when a device had asked, and of which it never heard. */
  readonly unknown: number[] = [];

  constructor(skewsS: readonly number[], offS: readonly number[]) {
    this.copies = offS.map((off) => {
      const streams = openListenerStreams(this.store, 1_048_576);
      const clock = (): number => this.now + off * 1_000;
      const report = new ReportEpisodeActionsHandler(streams, clock);
      return { streams, clock, report, get: new GetEpisodeActionsHandler(streams) };
    });
    this.devices = skewsS.map((skewS) => ({
      skewS,
      kept: [] as { episode: number; position: number; timestamp: number }[],
      since: Math.floor(START / 1_000),
      askedAt: -Infinity,
      seen: new Set<number>(),
    }));
  }

  wait(seconds: number): void {
    this.now += seconds * 1_000;
  }

  listen(device: number, episode: number): void {
    const { kept, skewS } = this.devices[device]!;
    this.said += 1;
    kept.push({ episode, position: this.said, timestamp: Math.floor(this.now / 1_000) + skewS });
  }

  async ask(device: number, copy: number): Promise<void> {
    const asking = this.devices[device]!;
    const { clock, get } = this.copies[copy]!;
    const timestamp = Math.floor(clock() / 1_000);
    const asked = { since: since.parse(String(asking.since)), isAggregated: false };
    const actions = await get.execute(new GetEpisodeActions(this.speaker.userId, asked));
    for (const { position } of tellable(actions).map(writtenAction)) asking.seen.add(position!);
    [asking.since, asking.askedAt] = [timestamp, this.now];
    for (const position of (await this.standing(copy)).values())
      if (!asking.seen.has(position)) this.unknown.push(position);
  }

  /** By our own API, of which an app is told as if another app had told it. */
  async play(copy: number, episode: number): Promise<void> {
    const { clock, streams } = this.copies[copy]!;
    const position = (this.said += 1);
    const data = { ...namesOf(episode), position, played: false, now: clock() };
    const metadata = { recordedAt: new Date(clock()).toISOString(), correlationId: 'test' };
    await streams.listening.handle(this.speaker.userId, { type: 'RecordPlay', data }, metadata, () => undefined);
    const at = Math.max(clock(), (this.newestOf(episode)?.at ?? -Infinity) + 1);
    this.sent.push({ episode, position, at, isTold: false });
  }

  async upload(device: number, copy: number): Promise<void> {
    const uploading = this.devices[device]!;
    const { clock, report } = this.copies[copy]!;
    const timestamp = Math.floor(clock() / 1_000);
    const written = uploading.kept.splice(0).map(({ episode, position, timestamp }) => {
      this.sent.push({ episode, position, at: Math.min(timestamp * 1_000, clock()), isTold: true });
      const { feed: podcast, item } = namesOf(episode);
      const names = { podcast, episode: item.slice(1) };
      return reportedAction.parse({ ...names, action: 'play', timestamp, started: 0, position, total: 9_999 });
    });
    const { actions } = readActions(written, { device: `device-${device}`, now: clock() });
    await report.execute(new ReportEpisodeActions(this.speaker, actions));
    // Some apps go on from the answer to their upload.
    if (this.now - uploading.askedAt <= UPLOADED_WITHIN_S * 1_000) uploading.since = timestamp;
  }

  /** All are there again, and have heard of each other. */
  async end(): Promise<void> {
    for (let device = 0; device < DEVICES; device += 1) await this.upload(device, device % 2);
    for (let device = 0; device < DEVICES; device += 1) await this.ask(device, device % 2);
  }

  /** Places that were told and that some device never heard of. */
  missed(): number[][] {
    const told = this.sent.filter(({ isTold }) => isTold).map(({ position }) => position);
    return this.devices.map(({ seen }) => told.filter((each) => !seen.has(each)));
  }

  newest(): Map<string, number> {
    const episodes = new Set(this.sent.map(({ episode }) => episode));
    return new Map([...episodes].map((episode) => [namesOf(episode).item, this.newestOf(episode)!.position]));
  }

  standing(copy: number): Promise<Map<string, number>> {
    return this.copies[copy]!.streams.listening.query(
      this.speaker.userId,
      ({ state }) => new Map([...allPlays(state)].map(({ item, position }) => [item, position])),
    );
  }

  private newestOf(episode: number) {
    const ofEpisode = this.sent.filter((each) => each.episode === episode);
    return ofEpisode.sort((one, other) => other.at - one.at || other.position - one.position)[0];
  }
}

describe('devices with clocks of their own, which are away for days and upload late', () => {
  it('miss nothing of each other, and come to the newest place by the date of what was done', () =>
    fc.assert(
      fc.asyncProperty(lives, async ({ steps, skewsS, copiesS }) => {
        const days = new Days(skewsS, copiesS);
        for (const { does, device, copy, episode, waitS } of steps) {
          days.wait(waitS);
          if (does === 'listen') days.listen(device, episode);
          else if (does === 'play') await days.play(copy, episode);
          else await days[does](device, copy);
        }
        await days.end();
        expect(days.missed()).toEqual(Array.from({ length: DEVICES }, () => []));
        expect(days.unknown).toEqual([]);
        expect(await days.standing(0)).toEqual(days.newest());
      }),
      { numRuns: process.env.LONG_TESTS === '1' ? 5_000 : 300 },
    ));
});
