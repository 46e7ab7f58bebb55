import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Who may log in. The username never leaves the account. */
@Entity({ name: 'accounts' })
export class AccountRow {
  @PrimaryColumn('uuid', { name: 'user_id' })
  userId!: string;
  @Column('text')
  username!: string;
  @Column('text', { name: 'username_key', unique: true })
  usernameKey!: string;
  @Column('text', { name: 'password_hash' })
  passwordHash!: string;
  /** Counts the changes of the password. */
  @Column('integer', { name: 'password_version', default: 1 })
  passwordVersion!: number;
  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;

  /** Set: it is being deleted. */
  @Column('timestamptz', { name: 'closed_at', nullable: true })
  closedAt!: Date | null;
}

/** A session of a device, a personal token, or the password of an app. Only hashes of secrets are kept. */
@Entity({ name: 'api_tokens' })
export class ApiTokenRow {
  @PrimaryColumn('uuid')
  id!: string;
  @Column('uuid', { name: 'user_id' })
  userId!: string;
  @Column('text')
  kind!: 'session' | 'personal' | 'app';
  @Column('text', { nullable: true })
  name!: string | null;
  @Column('text', { name: 'device_id', nullable: true })
  deviceId!: string | null;
  @Column('text', { name: 'device_name', nullable: true })
  deviceName!: string | null;
  @Column('bytea', { name: 'secret_hash', unique: true })
  secretHash!: Buffer;
  @Column('bytea', { name: 'family_hash', nullable: true, unique: true })
  familyHash!: Buffer | null;
  @Column('bytea', { name: 'previous_secret_hash', nullable: true })
  previousSecretHash!: Buffer | null;
  @Column('bytea', { name: 'rotation_salt', nullable: true })
  rotationSalt!: Buffer | null;
  @Column('timestamptz', { name: 'rotated_at', nullable: true })
  rotatedAt!: Date | null;
  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;
  @Column('timestamptz', { name: 'last_used_at', nullable: true })
  lastUsedAt!: Date | null;
  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;
  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt!: Date | null;
}

/** A private key that the copies of a service share. */
@Entity({ name: 'signing_keys' })
export class SigningKeyRow {
  @PrimaryColumn('text')
  purpose!: string;
  @Column('text', { unique: true })
  kid!: string;
  /** PEM, PKCS #8. */
  @Column('text', { name: 'private_key' })
  privateKey!: string;
  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt!: Date;
}
