export * from './commands';
export * from './listener-streams';
export * from './sync';
