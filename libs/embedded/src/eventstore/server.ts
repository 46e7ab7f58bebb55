import { setMaxListeners } from 'node:events';
import { GossipService, type IGossipServer } from '@eventstore/db-client/generated/gossip_grpc_pb';
import { ClusterInfo, EndPoint, MemberInfo } from '@eventstore/db-client/generated/gossip_pb';
import { MonitoringService } from '@eventstore/db-client/generated/monitoring_grpc_pb';
import { OperationsService } from '@eventstore/db-client/generated/operations_grpc_pb';
import { ScavengeResp, type StartScavengeReq } from '@eventstore/db-client/generated/operations_pb';
import { PersistentSubscriptionsService } from '@eventstore/db-client/generated/persistent_grpc_pb';
import { ProjectionsService } from '@eventstore/db-client/generated/projections_grpc_pb';
import {
  ServerFeaturesService,
  type IServerFeaturesServer,
} from '@eventstore/db-client/generated/serverfeatures_grpc_pb';
import { SupportedMethod, SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb';
import { UUID } from '@eventstore/db-client/generated/shared_pb';
import { StreamsService, type IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb';
import type { BatchAppendReq, BatchAppendResp, ReadResp } from '@eventstore/db-client/generated/streams_pb';
import { UsersService } from '@eventstore/db-client/generated/users_grpc_pb';
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { append, batchAppend, deleteStream, tombstoneStream } from './appends';
import { CallFailure, unavailable } from './failures';
import { Heads } from './heads';
import { defaultLimits, type Limits } from './limits';
import type { Log } from './model';
import { Reader } from './reader';
import { read } from './reads';
import { Scavenger } from './scavenger';
import { Tail } from './tail';
import { Writer } from './writer';

/** What the client is told; the protocol is that of 23.10, the server is ours. */
const VERSION = '23.10.0+standin';

export interface EventStoreOptions {
  /** A Postgres database; the schema `events` in it is ours. */
  databaseUrl: string;
  host?: string;
  /** 0 for one that the system assigns. */
  port: number;
  log?: Log;
  limits?: Partial<Limits>;
}

export interface EventStore {
  port: number;
  /** For `EventStoreDBClient.connectionString`. */
  connectionString: string;
  /** Resolves when the store cannot write any more: the lock or Postgres is lost for good. It takes no appends then. */
  failed: Promise<Error>;
  /** Deletes what metadata and tombstones have hidden. Answers the number of events deleted. */
  scavenge(): Promise<number>;
  /** Refuses new work, finishes what is under way, lets go of the lock. */
  close(): Promise<void>;
}

/**
 * Starts a single EventStoreDB node that keeps its events in Postgres. It speaks the gRPC services Streams,
 * ServerFeatures and Gossip, and of Operations the scavenge, in the clear and without users; anything else answers UNIMPLEMENTED.
 * Rejects when Postgres cannot be reached, when another one writes to the same database, or when the port is taken.
 */
export async function startEventStore({
  databaseUrl,
  host = '127.0.0.1',
  port,
  log = () => undefined,
  limits: overrides,
}: EventStoreOptions): Promise<EventStore> {
  const limits = { ...defaultLimits, ...overrides };
  const tail = new Tail(limits);
  const heads = new Heads(limits);
  const writer = new Writer(databaseUrl, heads, tail, limits, log);
  await writer.open();
  const reader = new Reader(databaseUrl, limits, log);
  const stopping = new AbortController();
  // One for each read under way.
  setMaxListeners(0, stopping.signal);
  const batches = new Set<ServerDuplexStream<BatchAppendReq, BatchAppendResp>>();

  const server = new Server({ 'grpc.max_receive_message_length': limits.messageBytes });
  const streams: IStreamsServer = {
    read: read({ reader, tail, heads, limits }, log, stopping.signal),
    append: append(writer, limits),
    batchAppend: batchAppend(writer, limits, batches),
    delete: deleteStream(writer),
    tombstone: tombstoneStream(writer),
  };
  server.addService(encodedReads(), streams);
  server.addService(ServerFeaturesService, serverFeatures);
  server.addService(GossipService, gossip);
  const scavenger = new Scavenger(writer, limits, log);
  for (const service of [PersistentSubscriptionsService, ProjectionsService, UsersService, MonitoringService])
    server.addService(service, unimplemented(service, log));
  server.addService(OperationsService, {
    ...unimplemented(OperationsService, log),
    startScavenge: startScavenge(scavenger, log),
  });

  const address = host.includes(':') ? `[${host}]` : host;
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${address}:${port}`, ServerCredentials.createInsecure(), (error, assigned) =>
      error ? reject(error) : resolve(assigned),
    ),
  ).catch(async (error: Error) => {
    await Promise.all([writer.close(), reader.close()]);
    throw error;
  });
  scavenger.start();

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await scavenger.stop();
    await writer.close();
    stopping.abort();
    for (const call of batches) call.emit('error', unavailable('the event store is stopping'));
    const cut = setTimeout(() => server.forceShutdown(), limits.closeMs);
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    clearTimeout(cut);
    await reader.close();
  };
  return {
    port: bound,
    connectionString: `esdb://${address}:${bound}?tls=false`,
    failed: writer.failed,
    scavenge: () => scavenger.run(),
    close: () => (closing ??= close()),
  };
}

/** The Streams service, with a read whose messages may come encoded already. */
function encodedReads(): typeof StreamsService {
  const { read } = StreamsService;
  const responseSerialize = (message: ReadResp | Buffer): Buffer =>
    Buffer.isBuffer(message) ? message : read.responseSerialize(message);
  return { ...StreamsService, read: { ...read, responseSerialize } };
}

const serverFeatures: IServerFeaturesServer = {
  getSupportedMethods: (_call, callback) => {
    const methods = [StreamsService, ServerFeaturesService, GossipService].flatMap((service) =>
      Object.values(service as ServiceDefinition).map(({ path }) => {
        const [, service, method] = path.split('/');
        return new SupportedMethod().setServiceName(service!).setMethodName(method!.toLowerCase());
      }),
    );
    callback(null, new SupportedMethods().setEventStoreServerVersion(VERSION).setMethodsList(methods));
  },
};

const instance = randomUUID();

/** One node, which leads; its address is the one under which the client asked. */
const gossip: IGossipServer = {
  read: (call, callback) => {
    const { hostname, port } = new URL(`http://${call.getHost()}`);
    const member = new MemberInfo()
      .setInstanceId(new UUID().setString(instance))
      .setTimeStamp((BigInt(Date.now()) * 10_000n).toString())
      .setState(MemberInfo.VNodeState.LEADER)
      .setIsAlive(true)
      .setHttpEndPoint(new EndPoint().setAddress(hostname.replace(/^\[|\]$/g, '')).setPort(Number(port)));
    callback(null, new ClusterInfo().setMembersList([member]));
  },
};

/** Answers when it has begun, or that one is under way. */
const startScavenge =
  (scavenger: Scavenger, log: Log) =>
  (_call: ServerUnaryCall<StartScavengeReq, ScavengeResp>, callback: sendUnaryData<ScavengeResp>): void => {
    const { STARTED, INPROGRESS } = ScavengeResp.ScavengeResult;
    const result = scavenger.isRunning ? INPROGRESS : STARTED;
    if (result === STARTED)
      scavenger.run().catch((error: Error) => log('warn', 'a scavenge stopped early', { error: error.message }));
    callback(null, new ScavengeResp().setScavengeId(randomUUID()).setScavengeResult(result));
  };

/** Answers every method of a service that we do not have, by name, and says so in the log. */
function unimplemented(service: ServiceDefinition, log: Log): UntypedServiceImplementation {
  const handlers = Object.entries(service).map(([name, { path, responseStream }]) => {
    const failure = new CallFailure(status.UNIMPLEMENTED, `the stand-in for EventStoreDB does not have ${path}`);
    return [
      name,
      (call: { emit(event: 'error', failure: Error): boolean }, callback?: sendUnaryData<never>) => {
        log('warn', 'a method that we do not have was called', { method: path });
        if (responseStream) call.emit('error', failure);
        else callback!(failure);
      },
    ];
  });
  return Object.fromEntries(handlers) as UntypedServiceImplementation;
}
