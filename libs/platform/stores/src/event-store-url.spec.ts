import { EventStoreDBClient } from '@eventstore/db-client';
import { openEventStore } from './event-store-db';
import { flawOfEventStoreUrl } from './event-store-url';

const SECRET = 'hunter2';

it.each([
  'esdb://eventstore:2113?tls=false',
  'esdb://localhost',
  'esdb+discover://admin:changeit@one:2113,two:2113,10.0.0.3/?nodePreference=follower&keepAliveInterval=10000',
  `esdb://admin:a%40b%3A@eventstore:2113/?connection_name=me&defaultDeadline=500`,
])('takes what the client takes, which says nothing to it: %s', (url) => {
  const said = jest.spyOn(console, 'warn');
  expect(flawOfEventStoreUrl(url)).toBeUndefined();
  EventStoreDBClient.connectionString(url);
  expect(said).not.toHaveBeenCalled();
  said.mockRestore();
});

it.each([
  ['http://admin:hunter2@eventstore', /esdb:\/\//],
  ['kurrentdb://admin:hunter2@eventstore', /esdb:\/\//],
  ['esdb://admin:hunter2@eventstore?tls=false&colour=hunter2', /"colour"/],
  ['esdb://admin:hunter2@eventstore?tlsVerifyCert=false', /tlsVerifyCert/],
  ['esdb://admin:hunter2@eventstore?tls=hunter2', /tls/],
  ['esdb://admin:hunter2@eventstore?gossipTimeout=soon', /gossipTimeout/],
  ['esdb://admin:p@hunter2@eventstore', /%40/],
  ['esdb://admin:p@hunter2?x=hunter2@eventstore', /%40/],
  ['esdb://admin:p:hunter2@eventstore', /percent-encoded/],
  ['esdb://admin:%hunter2@eventstore', /percent-encoded/],
  ['esdb://hunter2@eventstore', /percent-encoded/],
  ['esdb://admin:hunter2@eventstore:port', /host:port/],
  ['esdb://admin:hunter2@?tls=false', /host:port/],
  ['esdb://admin:hunter2@eventstore?tls=false?x', /\?/],
])('says what is wrong with %s, and none of its secrets', (url, flaw) => {
  const said = jest.spyOn(console, 'warn');
  expect(flawOfEventStoreUrl(url)).toMatch(flaw);
  expect(flawOfEventStoreUrl(url)).not.toContain(SECRET);
  expect(() => openEventStore({ url })).toThrow(flaw);
  expect(said).not.toHaveBeenCalled();
  said.mockRestore();
});
