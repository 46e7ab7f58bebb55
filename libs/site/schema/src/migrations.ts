import { projectorTables } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class Popularity1700000000101 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE SCHEMA IF NOT EXISTS site;
      CREATE SCHEMA IF NOT EXISTS site_private;

      -- Whatever stands in the tables of site is published: anybody may read all of it.
      CREATE TABLE site.podcast_popularity (
        feed_id uuid PRIMARY KEY,
        feed text NOT NULL,
        feed_title text,
        feed_author text,
        feed_cover jsonb,
        score integer NOT NULL,
        score_previous integer NOT NULL,
        growth integer NOT NULL GENERATED ALWAYS AS (score - score_previous) STORED,
        plays integer NOT NULL,
        plays_previous integer NOT NULL,
        plays_people jsonb NOT NULL DEFAULT '[]',
        likes integer NOT NULL,
        likes_previous integer NOT NULL,
        likes_people jsonb NOT NULL DEFAULT '[]'
      ) WITH (fillfactor = 80);
      CREATE INDEX podcast_popularity_trending ON site.podcast_popularity (growth DESC, score DESC, feed_id);

      CREATE TABLE site.episode_popularity (
        episode_id uuid PRIMARY KEY,
        feed_id uuid NOT NULL,
        -- as last sent
        item text NOT NULL,
        -- the same for all feeds that hold the item: for look-ups that name no feed
        item_key uuid NOT NULL,
        score integer NOT NULL,
        score_previous integer NOT NULL,
        growth integer NOT NULL GENERATED ALWAYS AS (score - score_previous) STORED,
        plays integer NOT NULL,
        plays_previous integer NOT NULL,
        plays_people jsonb NOT NULL DEFAULT '[]',
        likes integer NOT NULL,
        likes_previous integer NOT NULL,
        likes_people jsonb NOT NULL DEFAULT '[]'
      ) WITH (fillfactor = 80);
      CREATE INDEX episode_popularity_trending ON site.episode_popularity (growth DESC, score DESC, episode_id);
      CREATE INDEX episode_popularity_of_feed
        ON site.episode_popularity (feed_id, growth DESC, score DESC, episode_id);
      CREATE INDEX episode_popularity_item ON site.episode_popularity (item_key);

      -- The timeline. Feed and item are those of the tables above, under the same ids.
      CREATE TABLE site.public_events (
        id bigint NOT NULL,
        event_type text NOT NULL,
        -- null: anonymous
        user_id uuid,
        feed_id uuid NOT NULL,
        episode_id uuid,
        -- as the client claimed
        occurred_at timestamptz(3) NOT NULL,
        recorded_at timestamptz(3) NOT NULL,
        PRIMARY KEY (recorded_at, id)
      );
      CREATE INDEX public_events_of_type ON site.public_events (event_type, recorded_at, id);
      CREATE INDEX public_events_of_feed ON site.public_events (feed_id, recorded_at, id);

      -- Numbers the rows of the timeline across all listeners, so that a number tells nothing of one.
      CREATE SEQUENCE site_private.public_ids;
      -- What listeners did and did not take back: the one truth of all counts. Nothing of a URL with credentials is kept.
      CREATE TABLE site_private.contributions (
        listener uuid NOT NULL,
        feed_id uuid NOT NULL,
        -- null: of the podcast itself
        episode_id uuid,
        -- the episode, or the podcast itself
        subject_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('subscribe', 'play', 'save', 'share')),
        -- days since 1970-01-01 UTC for what counts once a day, else 0
        day integer NOT NULL,
        points integer NOT NULL,
        visibility text NOT NULL CHECK (visibility IN ('public', 'anonymous', 'private')),
        item text,
        item_key uuid,
        occurred_at timestamptz(3) NOT NULL,
        recorded_at timestamptz(3) NOT NULL,
        -- id of its row in the timeline while it is published
        public_id bigint NOT NULL DEFAULT nextval('site_private.public_ids'),
        PRIMARY KEY (listener, subject_id, kind, day)
      );
      CREATE INDEX contributions_of_feed ON site_private.contributions (feed_id, episode_id, recorded_at);
      CREATE INDEX contributions_recorded ON site_private.contributions (recorded_at);

      -- Every podcast with contributions, published or not. Its row is locked before anything of the podcast is touched.
      CREATE TABLE site_private.feeds (
        feed_id uuid PRIMARY KEY,
        feed text NOT NULL,
        feed_title text,
        feed_author text,
        feed_cover jsonb,
        -- distinct, with contributions that are not private
        listeners integer NOT NULL DEFAULT 0 CHECK (listeners >= 0),
        published boolean NOT NULL DEFAULT false
      ) WITH (fillfactor = 80);
      CREATE TABLE site_private.feed_listeners (
        feed_id uuid NOT NULL,
        listener uuid NOT NULL,
        -- those that are not private
        contributions integer NOT NULL,
        PRIMARY KEY (feed_id, listener)
      ) WITH (fillfactor = 80);
      -- When a listener last did something in public, for the lists of people.
      CREATE TABLE site_private.people (
        -- feed_id or episode_id
        scope_id uuid NOT NULL,
        kind text NOT NULL,
        listener uuid NOT NULL,
        recorded_at timestamptz(3) NOT NULL,
        PRIMARY KEY (scope_id, kind, listener)
      );
      CREATE INDEX people_recent ON site_private.people (scope_id, kind, recorded_at DESC, listener);

      -- Contributions made before starts_at make up score_previous, plays_previous and likes_previous.
      CREATE TABLE site_private.popularity_window (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        starts_at timestamptz(3) NOT NULL
      );
      INSERT INTO site_private.popularity_window (starts_at) VALUES ('-infinity');

      -- how far each stream of a listener has come into the tables above
      CREATE TABLE site_private.listener_revisions (
        user_id uuid NOT NULL,
        category text NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, category)
      ) WITH (fillfactor = 80);
      ${projectorTables('site_private')}`);

    // A role belongs to the whole cluster: another database of it may have made it, at this very moment too.
    await runner.query(`
      DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'balados_site_reader') THEN
          CREATE ROLE balados_site_reader NOLOGIN;
        END IF;
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END $$;
      REVOKE ALL ON SCHEMA site, site_private FROM PUBLIC;
      GRANT USAGE ON SCHEMA site TO balados_site_reader;
      GRANT SELECT ON site.podcast_popularity, site.episode_popularity, site.public_events TO balados_site_reader;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    // The role stays: other databases of the cluster may use it.
    await runner.query(`
      DROP TABLE site.podcast_popularity, site.episode_popularity, site.public_events;
      DROP TABLE site_private.projector_members, site_private.projector_segments, site_private.listener_revisions,
        site_private.popularity_window, site_private.people, site_private.feed_listeners, site_private.feeds,
        site_private.contributions;
      DROP SEQUENCE site_private.public_ids;
      REVOKE ALL ON SCHEMA site FROM balados_site_reader;
      DROP SCHEMA site;`);
  }
}

export class Saves1700000000102 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // For the last save of a podcast that a listener has left when they take one back.
    await runner.query(
      `CREATE INDEX contributions_saves ON site_private.contributions (listener, feed_id) WHERE kind = 'save'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX site_private.contributions_saves');
  }
}

export class ForgottenFeeds1700000000131 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // From now on a podcast's row goes with its last contribution.
    await runner.query(`DELETE FROM site_private.feeds f
      WHERE NOT EXISTS (SELECT FROM site_private.contributions c WHERE c.feed_id = f.feed_id)`);
  }

  async down(): Promise<void> {
    // What is not there is made again when it is needed.
  }
}

export class Privacy1700000000103 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Numbers that tell nothing: not when a row came, nor which row it was before. Of 56 bits, so that 17 digits hold them.
      CREATE FUNCTION site_private.random_id() RETURNS bigint LANGUAGE sql VOLATILE
        RETURN ('x' || right(replace(gen_random_uuid()::text, '-', ''), 14))::bit(56)::bigint;

      -- What listeners set. A scope is an episode or a podcast by its id (never by its URL), or the account: the id of zeros.
      CREATE TABLE site_private.privacy_settings (
        listener uuid NOT NULL,
        scope_id uuid NOT NULL,
        privacy text NOT NULL CHECK (privacy IN ('public', 'anonymous', 'private')),
        PRIMARY KEY (listener, scope_id)
      );
      -- Of those who set nothing. Without a row: private.
      CREATE TABLE site_private.default_privacy (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        privacy text NOT NULL CHECK (privacy IN ('public', 'anonymous', 'private'))
      );

      ALTER TABLE site_private.contributions
        -- public because the listener said so of this podcast or episode, not of the account alone
        ADD COLUMN explicit boolean NOT NULL DEFAULT false,
        ALTER COLUMN public_id SET DEFAULT site_private.random_id();
      DROP SEQUENCE site_private.public_ids;
      DROP INDEX site_private.contributions_saves;
      CREATE INDEX contributions_of_listener ON site_private.contributions (listener, feed_id, kind);
      -- contributions that are explicit: one is enough to publish the podcast
      ALTER TABLE site_private.feeds ADD COLUMN explicit integer NOT NULL DEFAULT 0 CHECK (explicit >= 0);

      -- The hour is all that the timeline says of when something anonymous was.
      UPDATE site_private.contributions SET public_id = site_private.random_id();
      TRUNCATE site.public_events;
      INSERT INTO site.public_events (id, event_type, user_id, feed_id, episode_id, occurred_at, recorded_at)
      SELECT public_id, kind, CASE WHEN visibility = 'public' THEN listener END, feed_id, episode_id,
        CASE visibility WHEN 'public' THEN occurred_at ELSE date_trunc('hour', occurred_at, 'UTC') END,
        CASE visibility WHEN 'public' THEN recorded_at ELSE date_trunc('hour', recorded_at, 'UTC') END
      FROM site_private.contributions JOIN site_private.feeds USING (feed_id)
      WHERE published AND visibility <> 'private';

      -- What was recorded before caught_up_at is in the tables, as far as the listeners of the segment go.
      CREATE TABLE site_private.segments_caught_up (
        segment integer PRIMARY KEY,
        caught_up_at timestamptz NOT NULL
      );
      -- The same for all listeners; null while of some segment nobody knows. The view has its owner's rights: this one row is all that
      -- the public sees of the tables behind it.
      CREATE VIEW site.projection AS
        SELECT CASE WHEN count(*) = count(caught_up_at) THEN min(caught_up_at) END AS caught_up_at
        FROM site_private.projector_segments LEFT JOIN site_private.segments_caught_up USING (segment)
        WHERE projector = 'site';
      GRANT SELECT ON site.projection TO balados_site_reader;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP VIEW site.projection;
      DROP TABLE site_private.segments_caught_up;
      ALTER TABLE site_private.feeds DROP COLUMN explicit;
      DROP INDEX site_private.contributions_of_listener;
      CREATE INDEX contributions_saves ON site_private.contributions (listener, feed_id) WHERE kind = 'save';
      CREATE SEQUENCE site_private.public_ids;
      ALTER TABLE site_private.contributions
        DROP COLUMN explicit,
        ALTER COLUMN public_id SET DEFAULT nextval('site_private.public_ids');
      DROP TABLE site_private.default_privacy, site_private.privacy_settings;
      DROP FUNCTION site_private.random_id();`);
  }
}
