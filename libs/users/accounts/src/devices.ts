import { Sql } from '@balados/platform-stores';
import { LRUCache } from 'lru-cache';

/** Devices that are kept of one listener: of more, those that were seen last. */
export const DEVICES_PER_LISTENER = 100;
/** That a device was seen is written at most this often, in milliseconds: apps upload in many pieces. */
export const SEEN_AGAIN_MS = 60_000;
/** Devices that one process remembers to have written. */
export const DEVICES_REMEMBERED = 10_000;
export const DEVICE_TYPES = ['desktop', 'laptop', 'mobile', 'server', 'other'] as const;
export type DeviceType = (typeof DEVICE_TYPES)[number];

/** A device as its app has named it. */
export interface KnownDevice {
  deviceId: string;
  caption: string;
  type: DeviceType;
}

/** The devices that apps have told of, or only written from. */
export class KnownDevices {
  private readonly seen = new LRUCache<string, true>({ max: DEVICES_REMEMBERED, ttl: SEEN_AGAIN_MS });

  constructor(private readonly sql: Sql) {}

  /** Names it as its app does; what is not said stays, and of a new one is its id and `other`. */
  async tell(
    userId: string,
    { deviceId, caption, type }: Pick<KnownDevice, 'deviceId'> & Partial<KnownDevice>,
  ): Promise<void> {
    if (caption === undefined && type === undefined) return this.note(userId, [deviceId]);
    await this.write(userId, [deviceId], caption, type);
  }

  /** Devices that something came from, by their ids. */
  async note(userId: string, deviceIds: readonly string[]): Promise<void> {
    const keyOf = (id: string): string => `${userId} ${id}`;
    const unseen = deviceIds.filter((id) => !this.seen.has(keyOf(id)));
    if (unseen.length === 0) return;
    await this.write(userId, unseen);
    for (const id of unseen) this.seen.set(keyOf(id), true);
  }

  private async write(userId: string, ids: readonly string[], caption?: string, type?: DeviceType): Promise<void> {
    await this.sql.query(
      `INSERT INTO users.devices AS known (user_id, device_id, caption, type)
       SELECT $1, id, coalesce($3, id), coalesce($4, 'other') FROM unnest($2::text[]) AS id
       WHERE EXISTS (SELECT 1 FROM users.accounts WHERE user_id = $1 AND closed_at IS NULL)
       ON CONFLICT (user_id, device_id) DO UPDATE
         SET caption = coalesce($3, known.caption), type = coalesce($4, known.type), seen_at = now()`,
      [userId, [...new Set(ids)], caption ?? null, type ?? null],
    );
    await this.sql.query(
      `DELETE FROM users.devices WHERE user_id = $1 AND device_id IN (
         SELECT device_id FROM users.devices WHERE user_id = $1 ORDER BY seen_at DESC, device_id OFFSET $2)`,
      [userId, DEVICES_PER_LISTENER],
    );
  }

  list(userId: string): Promise<KnownDevice[]> {
    return this.sql.query<KnownDevice[]>(
      `SELECT device_id AS "deviceId", caption, type FROM users.devices WHERE user_id = $1 ORDER BY device_id`,
      [userId],
    );
  }
}
