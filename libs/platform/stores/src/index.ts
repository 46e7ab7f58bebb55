export * from './event-store-db';
export * from './log';
export * from './postgres';
export * from './projector';
