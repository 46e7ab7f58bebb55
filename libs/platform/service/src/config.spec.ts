import { ConfigError, readConfig, serviceConfig } from './config';

const read = (environment: Record<string, string>) => readConfig(serviceConfig, environment);

it('has limits, no trusted proxy and every origin unless told', () => {
  expect(read({ TRUSTED_PROXIES: '', RATE_ADDRESS: '' })).toMatchObject({
    RATE_LISTENER: 6_000,
    RATE_ADDRESS: 6_000,
    RATE_REGISTER: 100,
    RATE_LOGIN_FAILED: 10,
    CORS_ORIGINS: ['*'],
  });
  expect(read({}).TRUSTED_PROXIES).toBeUndefined();
});

it('reads lists', () => {
  const { TRUSTED_PROXIES, CORS_ORIGINS } = read({
    TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1 ,2001:db8::/32,loopback',
    CORS_ORIGINS: 'https://app.example, http://localhost:8080',
  });
  expect(TRUSTED_PROXIES).toEqual(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', 'loopback']);
  expect(CORS_ORIGINS).toEqual(['https://app.example', 'http://localhost:8080']);
});

it.each([
  ['TRUSTED_PROXIES', 'proxy.example'],
  ['TRUSTED_PROXIES', '10.0.0.0/33'],
  // Everybody would say who they are.
  ['TRUSTED_PROXIES', '0.0.0.0/0'],
  ['TRUSTED_PROXIES', '10.0.0.1,'],
  ['TRUSTED_PROXIES', '10.0.0.0/8/8'],
  ['CORS_ORIGINS', 'app.example'],
  ['CORS_ORIGINS', 'https://app.example/'],
  ['CORS_ORIGINS', 'https://app.example,'],
  ['RATE_ADDRESS', '-1'],
  ['RATE_LISTENER', '1.5'],
  ['RATE_REGISTER', 'many'],
])('refuses %s=%s by name', (name, value) => {
  expect(() => read({ [name]: value })).toThrow(ConfigError);
  expect(() => read({ [name]: value })).toThrow(new RegExp(`^  ${name}: `, 'm'));
});
