export { createDatabase, templateDatabase, type TestDatabase } from './database';
export { explaining, ReadsAll } from './explaining';
export { waitFor } from './wait-for';
