import 'reflect-metadata';
import { operate } from './operate/index';

void operate(process.argv.slice(2), process.env).then((code) => process.exit(code));
