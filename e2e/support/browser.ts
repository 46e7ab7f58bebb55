import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { report } from './limits';

/** What people look at a page with. */
export const SCREENS: Record<'desktop' | 'phone', BrowserContextOptions> = {
  desktop: { viewport: { width: 1_200, height: 900 }, colorScheme: 'light' },
  phone: { viewport: { width: 360, height: 740 }, isMobile: true },
};
/** For a context whose pages are looked at by `flawsOf`. */
export const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong with a page in this scheme of colours, and whether it runs over its edge. */
export async function flawsOf(page: Page, colorScheme: 'light' | 'dark'): Promise<string[]> {
  await page.emulateMedia({ colorScheme });
  // Of the same page in the dark the colours are others, and nothing else.
  const only = colorScheme === 'dark' ? "{ runOnly: ['color-contrast'] }" : '{}';
  const { violations } = await page.evaluate<AxeResults>(`axe.run(${only})`);
  const over = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  );
  return [
    ...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
    ...(over > 0 ? [`${over} pixels over the edge`] : []),
  ];
}

/** For a browser without a screen that asks nobody for anything. */
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/**
 * Where a Chromium is, which is installed if that can be; undefined where there is none, which is said once. For suites that want one.
 * CI has looked before, and says by TEST_CHROMIUM where it is, or that there is none.
 */
export function chromiumOrNone(): string | undefined {
  const { TEST_CHROMIUM: known } = process.env;
  if (known) return known;
  if (known === '') {
    report('skipped: there is no Chromium; the beginning of this run says why');
    return undefined;
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('tools/chromium.mjs')], { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  report(`skipped: ${stderr.trim()}`);
  return undefined;
}
