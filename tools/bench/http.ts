import { Agent, request } from 'node:http';
import { Listener } from './listeners';

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** One request on a kept connection; answers the body's bytes. @throws Error for another status than 200 */
export function send(
  base: string,
  { token }: Listener,
  method: string,
  path: string,
  body?: string | Buffer,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    };
    const sent = request(`${base}/api/v1${path}`, { method, agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks);
        if (response.statusCode === 200) resolve(answer);
        else reject(new Error(`${method} ${path.slice(0, 60)}: ${response.statusCode} ${answer.subarray(0, 500)}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Lets go of the kept connections, so that a server can stop. */
export const closeConnections = (): void => agent.destroy();
