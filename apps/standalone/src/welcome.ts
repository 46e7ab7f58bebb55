import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Config } from './config';

/** Says to a person at a terminal where the system listens and how to begin. Programs read the log instead. */
export function welcome(port: number, { DATA_DIR, REGISTRATION, ADMIN_TOKEN }: Config): void {
  const base = `http://localhost:${port}`;
  const data = resolve(DATA_DIR);
  const lines = [
    '',
    `  Balados Sync listens on ${base}`,
    existsSync(data) ? `  Data is kept in ${data}` : '',
    ADMIN_TOKEN ? `  For operators, with ADMIN_TOKEN: ${base}/dashboard` : '',
    '',
    REGISTRATION === 'open' ? '  Make a first account:' : '  New accounts are closed (REGISTRATION=closed).',
    ...(REGISTRATION === 'open'
      ? [
          `    curl -s ${base}/api/v1/accounts -H 'content-type: application/json' \\`,
          `      -d '{"username": "ada", "password": "a long sentence of yours"}'`,
        ]
      : []),
    '  Stop with Ctrl-C.',
    '',
  ];
  process.stderr.write(`${lines.filter((line, index) => line !== '' || lines[index - 1] !== '').join('\n')}\n`);
}
