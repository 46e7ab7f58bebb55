import fc from 'fast-check';
import { CLIENT_MAX_LENGTH, clientOf, loginPage } from './login.page';

const decoded = (html: string): string =>
  html.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

it('knows an app by one line that can be read, whatever it sends', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (userAgent) => {
      const client = clientOf(userAgent);
      expect(client).toMatch(/^[!-~](?:[ -~]*[!-~])?$/);
      expect(client).not.toContain('  ');
      expect(client.length).toBeLessThanOrEqual(CLIENT_MAX_LENGTH);
    }),
  );
  expect(clientOf('AntennaPod/3.7.0')).toBe('AntennaPod/3.7.0');
  for (const nothing of [undefined, '', ' \t ', '\u202e\u200b'])
    expect(clientOf(nothing)).toBe('An app without a name');
});

it('shows as text what others have written', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (client, message, username) => {
      const html = loginPage({ client, message, username, formToken: 'x' });
      const [, app] = /<strong class="app">([^<>"']*)<\/strong>/.exec(html)!;
      const [, alert] = /<p role="alert">([^<>"']*)<\/p>/.exec(html)!;
      const [, value] = /name="username" value="([^<>"']*)" required/.exec(html)!;
      expect([app, alert, value].map((text) => decoded(text!))).toEqual([client, message, username]);
    }),
  );
});
