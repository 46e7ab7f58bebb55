export * from './postgres';
export * from './projector';
