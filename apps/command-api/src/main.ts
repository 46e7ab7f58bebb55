import 'reflect-metadata';
import { runService } from '@balados/platform-service';
import { config, start } from './index';

void runService('command-api', config, start);
