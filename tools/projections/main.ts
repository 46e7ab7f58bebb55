import 'reflect-metadata';
import { operate } from '@balados/projections/operate';
import { DemoFailed } from '../demo/api';
import { onStores } from '../seed/stores';

/** npm run projections: the command of the projections service, which also finds the stores of `npm start`. */
async function main(): Promise<number> {
  try {
    return await operate(process.argv.slice(2), onStores(process.env));
  } catch (error) {
    if (!(error instanceof DemoFailed)) throw error;
    console.error(`projections: ${error.message}`);
    return 1;
  }
}

void main().then((code) => process.exit(code));
