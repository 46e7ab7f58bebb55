import { RunningProjector } from '@balados/platform-stores';
import { Registry } from 'prom-client';
import { exposeProjectors } from './metrics';

const idle: RunningProjector = {
  name: 'idle',
  status: () => [],
  caughtUp: true,
  lateness: undefined,
  trouble: undefined,
  close: () => Promise.resolve(),
};

it('says of each projector what this process holds of it, how late that is, and where the log ends', async () => {
  const registry = new Registry();
  const lateness = { appliedUntil: Date.now() - 90_000, head: 2n ** 53n };
  exposeProjectors(registry, [idle, { ...idle, name: 'late', lateness }]);
  const text = await registry.metrics();
  expect(text).toContain('projector_segments_held{projector="idle"} 0');
  expect(text).toMatch(/projector_lag_seconds\{projector="late"\} 9\d/);
  expect(text).toContain(`projector_log_position{projector="late"} ${2 ** 53}`);
  expect(text).not.toMatch(/projector_l\w+\{projector="idle"\}/);
});
