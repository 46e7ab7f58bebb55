import { createSecretKey, randomUUID } from 'node:crypto';
import { playLink } from '@balados/feeds-ids';
import { LINK_KEY } from '@balados/e2e-support';
import { waitFor } from '@balados/testing';
import { Figure } from '../bench';
import { send } from '../http';
import { EvenLoad } from '../even-load';
import { createListeners } from '../listeners';
import { generate } from '../load';
import { processorTimes, timePerRequest } from '../processor-time';
import { loadDetails, percent, percentiles, perSecond, say, Spread } from '../report';
import { withWorker } from '../workers';

const CONNECTIONS = 32;
const WARM_UP_SECONDS = 5;
const SECONDS = 5;
const GOAL_SHARE = 0.6;
const RATE = 500;
const P99_GOAL_MS = 10;
/** Enough that no link is followed twice in a run: a repeat is no play. */
const LINKS = 120_000;
/** Whose plays they are. */
const LISTENERS = 200;
const HOST = 'play.localhost';

/** Play links that we signed, each a play that is written to the journal before its answer, beside Fastify alone that redirects. */
export const redirects: Figure = {
  name: 'redirects',
  async measure({ database, listeners: base, processes, kind }) {
    const gateway = (processes['play-gateway'] ?? processes['standalone']!).url;
    const tokens: string[] = [];
    for (const listener of await createListeners(database, base, LISTENERS)) {
      const made = await send(base, listener, 'POST', '/tokens', JSON.stringify({ name: randomUUID() }));
      tokens.push((JSON.parse(made.toString()) as { token: string }).token);
    }
    const key = createSecretKey(LINK_KEY);
    let next = 0;
    const links = (count: number): string[] =>
      Array.from({ length: count }, () => {
        const item = `${next},https://media.example/${next++}.mp3`;
        const token = tokens[next % LISTENERS]!;
        return playLink('', { token, feed: 'https://feeds.example/1.xml', item }, key)!;
      });
    const load = { kind: 'redirects', host: HOST, connections: CONNECTIONS } as const;
    const evenly = (base: string): Promise<Spread> => {
      const order: EvenLoad = { ...load, base, paths: links(RATE * SECONDS), rate: RATE };
      return withWorker<Spread>('even', order, (times) => times);
    };
    const [ceiling, steadyCeiling] = await withWorker('fastify', { size: 1 }, async (port: number) => {
      const bare = { ...load, base: `http://127.0.0.1:${port}`, paths: links(CONNECTIONS * 10) };
      await generate({ ...bare, seconds: WARM_UP_SECONDS });
      const before = processorTimes();
      const measured = await generate({ ...bare, seconds: SECONDS });
      say(`  processor time of a bare redirect: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);
      return [measured, await evenly(bare.base)] as const;
    });
    // Both before the first is followed: to sign them takes seconds, in which nothing comes.
    const [toWarmUp, toMeasure] = [links(LINKS), links(LINKS)];
    await generate({ ...load, base: gateway, paths: toWarmUp, seconds: WARM_UP_SECONDS });
    const before = processorTimes();
    const measured = await generate({ ...load, base: gateway, paths: toMeasure, seconds: SECONDS });
    say(`  processor time of a redirect: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);
    await waitFor(async () => /^play_journal_plays\{.*\} 0$/m.test(await (await fetch(`${gateway}/metrics`)).text()), {
      what: 'all plays to be delivered',
      timeoutMs: 120_000,
    });
    const beforeSteady = processorTimes();
    const steady = await evenly(gateway);
    say(`  the same at ${RATE}/s: ${timePerRequest(beforeSteady, processorTimes(), RATE * SECONDS)} ms`);
    return [
      {
        what: `play links, ${CONNECTIONS} connections, ${kind}`,
        measured: `${perSecond(measured.perSecond)} (${percent(measured.perSecond / ceiling.perSecond)}; ${loadDetails(measured)})`,
        ceiling: `${perSecond(ceiling.perSecond)} by bare Fastify`,
        goal: `≥ ${percent(GOAL_SHARE)} of it`,
        met: measured.perSecond >= GOAL_SHARE * ceiling.perSecond,
      },
      {
        what: `play links at ${RATE}/s, ${kind}`,
        measured: percentiles(steady),
        ceiling: `${percentiles(steadyCeiling)} by bare Fastify`,
        goal: `p99 < ${P99_GOAL_MS} ms`,
        met: steady.p99 < P99_GOAL_MS,
      },
    ];
  },
};
