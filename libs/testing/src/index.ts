export { createDatabase, templateDatabase, type TestDatabase } from './database';
export { explaining, ReadsAll } from './explaining';
export { type ServerSentEvent, ServerSentEvents } from './server-sent-events';
export { waitFor } from './wait-for';
