import Fastify from 'fastify';
import pino from 'pino';
import { Problem, ProblemFilter } from './problems';

it('takes a client that went away for no store that is away', async () => {
  const logged: string[] = [];
  const filter = new ProblemFilter(pino({}, { write: (line: string) => void logged.push(line) }), []);
  // As Fastify gives it: the error of the socket, with the status that it means.
  const aborted = Object.assign(new Error('aborted'), { code: 'ECONNRESET', statusCode: 400 });
  const server = Fastify().get('/', (request, reply) => filter.answer(aborted, request, reply));
  expect((await server.inject('/')).json()).toMatchObject({ status: 400, code: 'malformed' });
  expect(logged).toEqual([]);
});

it('logs what others fail at in one line, without a stack, and says nothing of that in the answer', async () => {
  const logged: string[] = [];
  const filter = new ProblemFilter(pino({}, { write: (line: string) => void logged.push(line) }), []);
  const failed = new Problem(502, 'feed_not_found', 'The origin answers 404.', { logged: { host: 'feeds.example' } });
  const server = Fastify().get('/', (request, reply) => filter.answer(failed, request, reply));
  const answer = await server.inject('/');
  expect(answer.statusCode).toBe(502);
  expect(answer.body).not.toContain('feeds.example');
  const [line, ...others] = logged.map((text) => JSON.parse(text));
  expect(others).toEqual([]);
  expect(line).toMatchObject({ code: 'feed_not_found', host: 'feeds.example', reason: 'The origin answers 404.' });
  expect(logged.join()).not.toContain('problems.spec');
});
