import { FeedsClient, FeedUnavailable } from '@balados/feeds-client';
import { locationOf } from '@balados/feeds-ids';
import { Edge, Problem } from '@balados/platform-service';
import { traceparent } from '@balados/platform-tracing';
import { AccountsUnavailable, PersonalTokens } from '@balados/users-accounts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Journal } from './journal';
import { Link, linkReader } from './links';
import { Answered } from './metrics';
import { isPlay } from './plays';
import { RecentPlays } from './recent-plays';

/** A signed link waits this long for what is said of its token, in milliseconds, and then goes on: the token is judged at delivery. */
export const TOKEN_PATIENCE_MS = 250;
/** A redirect waits this long for the journal, in milliseconds; a slow disk writes the play after it. */
export const JOURNAL_PATIENCE_MS = 250;
/** Seconds after which a client may try again when neither feed nor token can be asked. */
export const RETRY_AFTER_SECONDS = 5;
/** A browser may remember for this long that any page may ask, in seconds. */
const PREFLIGHT_MAX_AGE_S = 86_400;

export interface GatewayParts {
  readLink: ReturnType<typeof linkReader>;
  tokens: Pick<PersonalTokens, 'ownerOfHash'>;
  feeds: Pick<FeedsClient, 'episode'>;
  journal: Pick<Journal, 'append'>;
  recent: RecentPlays;
  answered: (outcome: Answered) => void;
  clock: () => number;
  /** When a group of plays is written, or has been waited for long enough. */
  patiently: (written: Promise<boolean>) => Promise<unknown>;
}

/** Of every answer to a link: players in pages may follow it, and where it leads learns nothing of the token. */
const ANSWER = ['access-control-allow-origin', '*', 'referrer-policy', 'no-referrer'];
const REDIRECT = [...ANSWER, 'cache-control', 'private, no-cache', 'content-length', '0'];
const PREFLIGHT = [
  ...ANSWER,
  'access-control-allow-methods',
  'GET, HEAD',
  'access-control-allow-headers',
  '*',
  'access-control-max-age',
  String(PREFLIGHT_MAX_AGE_S),
];

/** Whoever the token's owner is, or null when that cannot be read now. */
type Owner = string | null;

/** Answers play links before anything else is done for a request; all other paths go on to be refused. */
export const playLinks = (all: Omit<GatewayParts, 'patiently'>) => {
  const parts: GatewayParts = { ...all, patiently: patience(JOURNAL_PATIENCE_MS) };
  return (server: FastifyInstance, edge: Edge): void => {
    server.addHook('onRequest', (request, reply, done) => {
      const { url } = request;
      const query = url.indexOf('?');
      const link = parts.readLink(query < 0 ? url : url.slice(0, query));
      if (!link) return done();
      try {
        edge.admit(request);
        if (request.method === 'OPTIONS') return answer(reply, 204, [...PREFLIGHT, 'x-correlation-id', request.id]);
        if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
        const redirected = redirect(parts, request, reply, link);
        redirected?.catch((error: unknown) => refuse(error));
      } catch (error) {
        refuse(error);
      }

      function refuse(error: unknown): void {
        if (error instanceof AccountsUnavailable || error instanceof FeedUnavailable) parts.answered('unavailable');
        reply.header('access-control-allow-origin', '*');
        edge.refuse(asProblem(error), request, reply);
      }
    });
  };
};

/** At once when all that it takes is known, so that most of them cost no turn of the event loop. */
function redirect(
  parts: GatewayParts,
  request: FastifyRequest,
  reply: FastifyReply,
  link: Link,
): Promise<void> | undefined {
  const { answered } = parts;
  const owner = link.tokenHash === undefined ? '' : ownerOf(parts.tokens, link);
  return typeof owner === 'string' ? withOwner(owner) : owner.then(withOwner);

  function withOwner(userId: Owner): Promise<void> | undefined {
    if (userId === '') {
      answered('unknown_token');
      throw unknownToken();
    }
    if (link.location !== undefined) return withTarget(link.location, userId);
    return targetOf(parts, link).then((enclosure) => withTarget(enclosure, userId));
  }

  function withTarget(location: string, userId: Owner): Promise<void> | undefined {
    if (!isPlay(request.method, request.headers)) return send(location, 'no_play');
    const { recent, journal, clock } = parts;
    if (recent.has(link.recentKey)) return send(location, 'repeat');
    const heardAt = clock();
    // Before it is written: another request for it may come meanwhile.
    recent.add(link.recentKey, heardAt);
    const { feed, item, tokenHash } = link;
    const correlationId = request.id;
    const play = { heardAt, tokenHash: tokenHash!, userId, feed, item, correlationId, traceparent: traceparent() };
    const written = journal.append(play);
    void written.then((isWritten) => {
      if (!isWritten) recent.delete(link.recentKey);
    });
    return parts.patiently(written).then(() => send(location, 'play'));
  }

  function send(location: string, outcome: Answered): undefined {
    answered(outcome);
    answer(reply, 302, [...REDIRECT, 'location', location, 'x-correlation-id', request.id]);
  }
}

/** Past the framework, as the platform does with what it keeps. */
function answer(reply: FastifyReply, status: number, headers: string[]): void {
  reply.hijack();
  reply.raw.writeHead(status, headers);
  reply.raw.end();
}

/** Empty for nobody's. An unsigned link needs to know. @throws AccountsUnavailable (as a rejection) */
function ownerOf(tokens: GatewayParts['tokens'], { tokenHash, location }: Link): string | Promise<Owner> {
  const owner = tokens.ownerOfHash(tokenHash!);
  if (typeof owner === 'string' || location === undefined) return owner;
  const known = owner.catch((error: unknown) => {
    if (error instanceof AccountsUnavailable) return null;
    throw error;
  });
  return inTime(known, TOKEN_PATIENCE_MS).then((answer) => answer ?? null);
}

/** Where an unsigned link leads, by what its feed says. @throws Problem 404, FeedUnavailable */
async function targetOf({ feeds, answered }: GatewayParts, { feed, item }: Link): Promise<string> {
  const episode = await feeds.episode({ feed, item });
  const location = episode && locationOf(episode.enclosure);
  if (location) return location;
  answered('not_found');
  throw new Problem(404, 'not_found', 'The feed has no such episode.');
}

/** As `inTime`, with one timer for all that wait for the same. */
function patience(ms: number): GatewayParts['patiently'] {
  let latest: Promise<boolean> | undefined;
  let waited: Promise<unknown>;
  return (written) => {
    if (written !== latest) waited = inTime((latest = written), ms);
    return waited;
  };
}

/** What it resolves with, or undefined when that takes longer. */
function inTime<Result>(work: Promise<Result>, ms: number): Promise<Result | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const methodNotAllowed = (): Problem =>
  new Problem(405, 'method_not_allowed', 'A play link is got, and nothing else.', { headers: { allow: 'GET, HEAD' } });

const unknownToken = (): Problem =>
  new Problem(401, 'unknown_token', 'The token of this link is not known, or was revoked.', {
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });

function asProblem(error: unknown): unknown {
  if (error instanceof FeedUnavailable) {
    const seconds = Math.ceil((error.retryAfterMs ?? 0) / 1_000);
    const retryAfter = Math.max(RETRY_AFTER_SECONDS, seconds);
    return new Problem(503, 'feed_unavailable', 'The feed cannot be asked for this episode now.', { retryAfter });
  }
  if (error instanceof AccountsUnavailable)
    return new Problem(503, 'unavailable', 'Tokens cannot be checked now.', { retryAfter: RETRY_AFTER_SECONDS });
  return error;
}
