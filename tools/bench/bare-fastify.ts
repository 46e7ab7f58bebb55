import { AddressInfo } from 'node:net';
import fastify from 'fastify';

/** The worker of the web's ceiling: Fastify alone that sends a buffer of `size` bytes, or redirects any other path. Answers its port. */
export async function serveBuffer({ size }: { size: number }): Promise<number> {
  const buffer = Buffer.alloc(size, 'x');
  const server = fastify();
  server.get('/', (_request, reply) => void reply.type('application/json').send(buffer));
  server.get('/*', (_request, reply) => void reply.redirect('https://media.example/1.mp3', 302));
  await server.listen({ port: 0, host: '127.0.0.1' });
  return (server.server.address() as AddressInfo).port;
}
