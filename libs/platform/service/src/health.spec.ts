import { Module } from '@nestjs/common';
import { startService, stopServices } from './service.fixture';

@Module({})
class Nothing {}

afterEach(stopServices);

it('says in /readyz and in /metrics alike what is usable, as it is now', async () => {
  let isAway = true;
  const checks = { here: async () => 1, 'event store': async () => isAway && Promise.reject(new Error('away')) };
  const url = await startService(Nothing, {}, { checks });
  const figures = async (): Promise<string[]> =>
    (await (await fetch(`${url}/metrics`)).text())
      .split('\n')
      .filter((line) => /^(?:service_ready|readiness_check)\{/.test(line))
      .map((line) => line.replace(/,?service="test"/, ''));
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({
    ready: false,
    checks: { here: 'ok', 'event store': 'away' },
  });
  expect(await figures()).toEqual([
    'service_ready{} 0',
    'readiness_check{check="here"} 1',
    'readiness_check{check="event store"} 0',
  ]);
  isAway = false;
  expect(await figures()).toEqual([
    'service_ready{} 1',
    'readiness_check{check="here"} 1',
    'readiness_check{check="event store"} 1',
  ]);
});
