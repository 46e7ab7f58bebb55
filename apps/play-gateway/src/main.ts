import 'reflect-metadata';
import { runService } from '@balados/platform-service';
import { aloneConfig, startAlone } from './index';

void runService('play-gateway', aloneConfig, startAlone);
