import { oneOf } from './limits';

const HOUR_S = 3_600;
const DEVICES = 4;
const EPISODES = 4;
const STEPS = 84;
/** Of its own steps that a device is away for. */
const AWAY_STEPS = 12;
/** Between two things that somebody does. */
const STEP_S = 2 * HOUR_S;

/** What devices say and are told, through whichever door. */
export interface Door {
  /** @returns the time that is answered, in Unix seconds */
  upload(actions: object[]): Promise<number>;
  download(since: number): Promise<{ actions: { position: number }[]; timestamp: number }>;
}

/**
 * A week of a listener with several devices, whose clocks are hours off and which are away for random spans, so that they upload late. They ask
 * from the time that they were last given on, of the download or, as some apps do, of the upload that followed it.
 * @returns for each device the places that were told and that it never heard of; and by enclosure the place of the newest date
 */
export async function liveApart(
  random: () => number,
  door: Door,
  names: { podcast: string; enclosure: (nth: number) => string },
): Promise<{ missed: number[][]; newest: Map<string, number> }> {
  const upTo = (n: number): number => Math.floor(random() * n);
  const nowS = Math.floor(Date.now() / 1_000);
  const devices = Array.from({ length: DEVICES }, (_, nth) => ({
    name: `device-${nth}`,
    skewS: upTo(12 * HOUR_S) - 6 * HOUR_S,
    away: 0,
    since: nowS,
    kept: [] as { episode: string; position: number; atS: number }[],
    seen: new Set<number>(),
  }));
  const told: { episode: string; position: number; at: number }[] = [];
  const sync = async (device: (typeof devices)[number]): Promise<void> => {
    const { actions, timestamp } = await door.download(device.since);
    for (const { position } of actions) device.seen.add(position);
    device.since = timestamp;
    const kept = device.kept.splice(0);
    if (kept.length === 0) return;
    const uploaded = await door.upload(
      kept.map(({ episode, position, atS }) => {
        const timestamp = new Date(atS * 1_000).toISOString().slice(0, 19);
        const place = { started: 0, position, total: 1_800 };
        return { podcast: names.podcast, episode, device: device.name, action: 'play', timestamp, ...place };
      }),
    );
    // What is of the future counts as of now.
    for (const { atS, ...each } of kept) told.push({ ...each, at: Math.min(atS * 1_000, Date.now()) });
    if (random() < 0.5) device.since = uploaded;
  };
  for (let step = 0; step < STEPS; step += 1) {
    const device = oneOf(random, devices);
    const atS = nowS - (STEPS - step) * STEP_S + device.skewS;
    const episode = names.enclosure(upTo(EPISODES));
    // Each place once, in no order.
    if (random() < 0.7)
      device.kept.push({ episode, position: 1 + ((step * 7_919) % 1_700), atS: notAround(nowS, atS) });
    if (device.away > 0) device.away -= 1;
    else if (random() < 0.5) await sync(device);
    else if (random() < 0.3) device.away = upTo(AWAY_STEPS);
  }
  for (let round = 0; round < 2; round += 1) for (const device of devices) await sync(device);
  const newest = new Map<string, (typeof told)[number]>();
  for (const each of told) {
    const before = newest.get(each.episode);
    if (!before || each.at > before.at || (each.at === before.at && each.position > before.position))
      newest.set(each.episode, each);
  }
  return {
    missed: devices.map(({ seen }) => told.map(({ position }) => position).filter((each) => !seen.has(each))),
    newest: new Map([...newest].map(([episode, { position }]) => [episode, position])),
  };
}

/** While this runs it would be both of the past and of the future. */
const notAround = (nowS: number, atS: number): number => (Math.abs(atS - nowS) < HOUR_S / 2 ? atS - HOUR_S : atS);
