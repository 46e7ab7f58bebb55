import Fastify from 'fastify';
import pino from 'pino';
import { ProblemFilter } from './problems';

it('takes a client that went away for no store that is away', async () => {
  const logged: string[] = [];
  const filter = new ProblemFilter(pino({}, { write: (line: string) => void logged.push(line) }), []);
  // As Fastify gives it: the error of the socket, with the status that it means.
  const aborted = Object.assign(new Error('aborted'), { code: 'ECONNRESET', statusCode: 400 });
  const server = Fastify().get('/', (request, reply) => filter.answer(aborted, request, reply));
  expect((await server.inject('/')).json()).toMatchObject({ status: 400, code: 'malformed' });
  expect(logged).toEqual([]);
});
