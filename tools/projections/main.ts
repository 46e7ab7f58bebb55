import 'reflect-metadata';
import { operate } from '@balados/projections/operate';
import { DemoFailed } from '../demo/api';
import { storesOf } from '../seed/stores';

/** npm run projections: the command of the projections service, which also finds the stores of `npm start`. */
async function main(): Promise<number> {
  try {
    const { eventStore, users, site } = storesOf(process.env);
    const stores = { EVENTSTORE_URL: eventStore, USERS_DATABASE_URL: users, SITE_DATABASE_URL: site };
    return await operate(process.argv.slice(2), { ...process.env, ...stores });
  } catch (error) {
    if (!(error instanceof DemoFailed)) throw error;
    console.error(`projections: ${error.message}`);
    return 1;
  }
}

void main().then((code) => process.exit(code));
