import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { AllStreamSubscription, StreamSubscription } from '@eventstore/db-client';
import { Client } from 'pg';

/** An empty database of its own on the server of `TEST_POSTGRES_URL`. */
export async function createDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const server = process.env['TEST_POSTGRES_URL'];
  if (!server) throw new Error('TEST_POSTGRES_URL is missing: a superuser URL of a Postgres server');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await query(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = name;
  return {
    url: url.href,
    drop: async () => void (await query(server, `DROP DATABASE ${name} WITH (FORCE)`)),
  };
}

/** One statement on a connection of its own. */
export async function query(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Milliseconds that a test waits for a condition before it fails. */
const PATIENCE_MS = 60_000;

/** Resolves with what the condition gives as soon as that is truthy. */
export async function eventually<T>(condition: () => T | Promise<T>): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > until) throw new Error(`waited ${PATIENCE_MS} ms in vain for ${condition.toString()}`);
    await pause(10);
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The first events of a subscription, which then ends. */
export async function take<S extends AllStreamSubscription | StreamSubscription>(
  subscription: S,
  count: number,
): Promise<(S extends AsyncIterable<infer Item> ? Item : never)[]> {
  const events: never[] = [];
  for await (const event of subscription) {
    events.push(event as never);
    if (events.length >= count) break;
  }
  await subscription.unsubscribe();
  return events;
}
