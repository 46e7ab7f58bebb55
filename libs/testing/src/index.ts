export { createDatabase, templateDatabase, type TestDatabase } from './database';
export { waitFor } from './wait-for';
