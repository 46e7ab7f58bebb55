import { waitFor } from '@balados/testing';
import { base64, base64Url, Device, newListener } from './support/client';
import { timed, within } from './support/limits';
import { Counts, Public, PublicView } from './support/public-view';
import { KINDS, startSystem, System } from './support/system';

type Privacy = 'public' | 'anonymous' | 'private';
type Deed = 'subscribe' | 'play' | 'save' | 'share';
const POINTS: Record<Deed, number> = { subscribe: 10, play: 5, save: 3, share: 2 };
const SERVICES = ['projections', 'command-api', 'public-api'] as const;

/** What a listener did, and what they set. */
interface Doing {
  device: Device;
  deeds: { deed: Deed; feed: string; item?: string }[];
  /** By feed and item; the account's under no name. */
  settings: Map<string, Privacy>;
}

const scope = (feed = '', item = ''): string => `${feed} ${item}`.trim();

async function doing(base: string): Promise<Doing> {
  return { device: await newListener(base), deeds: [], settings: new Map() };
}

async function does({ device, deeds }: Doing, deed: Deed, feed: string, item?: string): Promise<void> {
  const answer = await {
    subscribe: () => device.subscribe(feed),
    play: () => device.play(feed, item!, 60),
    save: () => device.save(item!, feed),
    share: () => device.share(item!, feed),
  }[deed]();
  expect(answer.status).toBe(200);
  deeds.push({ deed, feed, item });
}

/** Without a value the setting is removed. */
async function sets({ device, settings }: Doing, privacy: Privacy | null, feed?: string, item?: string): Promise<void> {
  const named = { ...(feed && { feed: base64Url(feed) }), ...(item && { item: base64Url(item) }) };
  const answer = privacy
    ? await device.send('PUT', '/privacy', { privacy, ...named })
    : await device.send('DELETE', `/privacy?${new URLSearchParams(named)}`);
  expect(answer.status).toBe(200);
  if (privacy) settings.set(scope(feed, item), privacy);
  else settings.delete(scope(feed, item));
}

/** What should be seen, in the plainest words: the narrowest setting holds, two listeners or one explicit word publish a podcast. */
function expected(feed: string, listeners: readonly Doing[]): PublicView | undefined {
  const none = (): Counts => ({ score: 0, plays: 0, likes: 0, plays_people: [], likes_people: [] });
  const view: PublicView = { podcast: none(), episodes: {}, timeline: [] };
  const seen = new Set<string>();
  let isExplicit = false;
  for (const { device, deeds, settings } of listeners)
    for (const { deed, item } of deeds.filter((each) => each.feed === feed)) {
      const narrow = (item && settings.get(scope(feed, item))) ?? settings.get(scope(feed));
      const privacy = narrow ?? settings.get(scope()) ?? 'anonymous';
      if (privacy === 'private') continue;
      seen.add(device.userId);
      isExplicit ||= narrow === 'public';
      const who = privacy === 'public' ? device.userId : 'nobody';
      view.timeline.push(`${deed} ${who} ${item ?? ''}`);
      for (const counts of [view.podcast, ...(item ? [(view.episodes[item] ??= none())] : [])]) {
        counts.score += POINTS[deed];
        if (deed === 'play') counts.plays += 1;
        if (deed === 'save') counts.likes += 1;
        const people = { play: counts.plays_people, save: counts.likes_people }[deed as 'play'];
        if (people && who !== 'nobody' && !people.includes(who)) people.push(who);
      }
    }
  for (const { plays_people, likes_people } of [view.podcast, ...Object.values(view.episodes)]) {
    plays_people.sort();
    likes_people.sort();
  }
  view.timeline.sort();
  return seen.size >= 2 || isExplicit ? view : undefined;
}

describe.each(KINDS)('what the public sees on %s', (kind) => {
  let system: System;
  let world: Public;
  beforeAll(async () => {
    system = await startSystem(kind, {}, SERVICES);
    world = new Public(system.public);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  /** Waits until just that is seen which should be. */
  async function untilSeen(feed: string, listeners: readonly Doing[]): Promise<PublicView | undefined> {
    const wanted = expected(feed, listeners);
    await waitFor(
      async () => {
        expect(await world.view(feed)).toEqual(wanted);
        return true;
      },
      { what: `${feed} to be seen as it should be`, timeoutMs: 20_000 },
    );
    return wanted;
  }

  it('is what listeners allow, at three scopes, of the past too and both ways', async () => {
    const feed = 'https://feeds.example/three-scopes.xml';
    const [first, second] = ['guid-1,https://media.example/1.mp3', 'guid-2,https://media.example/2.mp3'];
    const [ada, bob, cleo] = [
      await doing(system.listeners),
      await doing(system.listeners),
      await doing(system.listeners),
    ];
    const all = [ada, bob, cleo];
    for (const each of all) {
      await does(each, 'subscribe', feed);
      for (const item of [first, second]) await does(each, 'play', feed, item);
      await does(each, 'save', feed, first);
      await does(each, 'share', feed, second);
    }
    const anonymous = (await untilSeen(feed, all))!;
    expect(anonymous.timeline).toHaveLength(15);
    expect(anonymous.podcast).toEqual({ score: 75, plays: 6, likes: 3, plays_people: [], likes_people: [] });

    const steps: [Doing, Privacy | null, string?, string?][] = [
      [ada, 'public'],
      [ada, 'private', feed],
      [ada, 'public', feed, first],
      [ada, 'private'],
      [ada, null, feed],
      [bob, 'private', feed, second],
      [bob, 'public', feed],
      [cleo, 'private'],
      [ada, null, feed, first],
      [bob, 'private', feed],
      [bob, null, feed, second],
      [cleo, 'public'],
      [ada, null],
      [bob, null, feed],
      [cleo, null],
    ];
    const views: (PublicView | undefined)[] = [];
    for (const [who, privacy, ...of] of steps) {
      await sets(who, privacy, ...of);
      views.push(await untilSeen(feed, all));
    }
    // Of the fifteen changes eleven are of something that was seen; for a while nothing was, and at the end all is as it was.
    expect(new Set(views.map((view) => JSON.stringify(view))).size).toBeGreaterThanOrEqual(11);
    expect(views).toContain(undefined);
    expect(views.at(-1)).toEqual(anonymous);
  });

  it('is nothing of a podcast with one listener, unless that one says so', async () => {
    const feed = 'https://feeds.example/few.xml';
    const item = 'few-1,https://media.example/few.mp3';
    const [one, two] = [await doing(system.listeners), await doing(system.listeners)];
    const episode = () => world.get(`/episode/${base64Url(item)}/popularity`);
    // When this is seen, so is what the same listener did before.
    const marker = 'https://feeds.example/marker-of-few.xml';
    await does(one, 'play', feed, item);
    await sets(one, 'public', marker);
    await does(one, 'subscribe', marker);
    await untilSeen(marker, [one]);
    expect(await world.view(feed)).toBeUndefined();
    expect(await episode()).toMatchObject({ status: 404, body: { code: 'not_public' } });

    await does(two, 'play', feed, item);
    expect(await untilSeen(feed, [one, two])).toBeDefined();
    expect((await episode()).status).toBe(200);
    await sets(two, 'private');
    expect(await untilSeen(feed, [one, two])).toBeUndefined();
    expect((await episode()).status).toBe(404);
    await sets(one, 'public');
    await sets(one, 'public', feed, item);
    expect(await untilSeen(feed, [one, two])).toBeDefined();
    await sets(one, null, feed, item);
    // The account alone does not publish it.
    expect(await untilSeen(feed, [one, two])).toBeUndefined();
  });

  it('is an item of several podcasts by the names of the published ones alone', async () => {
    const item = 'shared-1,https://media.example/shared.mp3';
    const feeds = ['a', 'b', 'c'].map((name) => `https://feeds.example/shared-${name}.xml`);
    const [one, two] = [await doing(system.listeners), await doing(system.listeners)];
    for (const feed of feeds) await does(one, 'play', feed, item);
    for (const feed of feeds.slice(0, 2)) await does(two, 'play', feed, item);
    for (const feed of feeds) await untilSeen(feed, [one, two]);
    const asked = async (): Promise<unknown[]> => {
      const { status, body } = await world.get(`/episode/${base64Url(item)}/popularity`);
      return [status, body.candidates ?? body.episode?.rss_source_feed ?? body.code];
    };
    expect(await asked()).toEqual([409, feeds.slice(0, 2).map(base64)]);
    await sets(two, 'private', feeds[0]);
    await untilSeen(feeds[0]!, [one, two]);
    expect(await asked()).toEqual([200, base64(feeds[1]!)]);
    await sets(two, 'private');
    await untilSeen(feeds[1]!, [one, two]);
    expect(await asked()).toEqual([404, 'not_public']);
  });

  it('is never an address with credentials, whatever its listeners say', async () => {
    const secrets = [
      ['https://reader:hunter2@secret.example/feed.xml', 'secret-1,https://media.secret.example/1.mp3'],
      ['https://secret.example/feed.xml?token=hunter2', 'secret-2,https://media.secret.example/2.mp3'],
      ['https://open.example/feed.xml', 'secret-3,https://media.secret.example/3.mp3?signature=hunter2'],
    ] as const;
    const marker = 'https://feeds.example/marker-of-addresses.xml';
    const both = [await doing(system.listeners), await doing(system.listeners)];
    for (const each of both) {
      await sets(each, 'public');
      for (const [feed, item] of secrets) {
        for (const deed of ['play', 'save', 'share'] as const) await does(each, deed, feed, item);
        await sets(each, 'public', feed, item);
        await sets(each, 'public', feed);
        if (feed !== secrets[2][0]) await does(each, 'subscribe', feed);
      }
      // What comes after them is seen, so they were passed by.
      await does(each, 'subscribe', marker);
    }
    await untilSeen(marker, both);
    for (const [feed, item] of secrets) {
      expect(await world.view(feed)).toBeUndefined();
      for (const path of [`/feed/${base64Url(feed)}/popularity`, `/episode/${base64Url(item)}/popularity`])
        expect(await world.get(path)).toMatchObject({ status: 404, body: { code: 'not_public' } });
    }
    for (const path of ['/trending/podcasts', '/trending/episodes', '/timeline']) {
      const { body } = await world.get(`${path}?limit=100`);
      const named = JSON.stringify(body).match(/"rss_source_(?:feed|item)":"[^"]+"/g)!;
      expect(named.length).toBeGreaterThan(0);
      const decoded = named.map((each) => Buffer.from(each.split('"')[3]!, 'base64').toString()).join('\n');
      expect(decoded).not.toMatch(/secret|hunter2/);
    }
  });
});

describe('while projections are late', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem('services', { PUBLIC_MAX_LAG: '30' }, SERVICES);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    'names and timeline are withheld, counts stay, and what is hidden meanwhile is never shown again',
    ...within(
      150,
      () => Object.values(system.processes),
      async () => {
        const world = new Public(system.public);
        const feed = 'https://feeds.example/late.xml';
        const item = 'late-1,https://media.example/late.mp3';
        const [ada, bob] = [await doing(system.listeners), await doing(system.listeners)];
        for (const each of [ada, bob]) {
          await sets(each, 'public');
          await does(each, 'play', feed, item);
        }
        const shown = expected(feed, [ada, bob])!;
        const isShown = (view: PublicView) => async () => {
          expect(await world.view(feed)).toEqual(view);
          return true;
        };
        await waitFor(isShown(shown), { what: 'both names' });

        const projections = system.processes['projections']!;
        await projections.stop();
        await sets(ada, 'private');
        const isWithheld = async (): Promise<boolean> =>
          (await world.get('/timeline')).headers.get('balados-withheld') === 'true';
        // Not at once: projections may restart.
        expect(await isWithheld()).toBe(false);
        await timed('names to be withheld', isWithheld);
        const nameless = { ...shown.podcast, plays_people: [], likes_people: [] };
        expect(await world.view(feed)).toEqual({ podcast: nameless, episodes: { [item]: nameless }, timeline: [] });
        expect((await world.get('/timeline')).body.pagination.next_cursor).toBeNull();

        await projections.start();
        const seen = new Set<string>();
        await waitFor(
          async () => {
            for (const { user_id } of (await world.get('/timeline')).body.events) seen.add(user_id);
            return seen.size > 0 || !(await isWithheld());
          },
          { what: 'the timeline to come back' },
        );
        // Ada has hidden what she did; Bob alone does not publish a podcast.
        await does(bob, 'subscribe', feed);
        await sets(bob, 'public', feed);
        await waitFor(isShown(expected(feed, [ada, bob])!), { what: 'Bob alone' });
        expect(seen).not.toContain(ada.device.userId);
      },
    ),
  );
});
