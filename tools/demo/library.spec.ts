import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLibrary } from './library';

describe('the demo’s library', () => {
  it('is, unless another is named, three small podcasts of our own', () => {
    expect(readLibrary(join(__dirname, 'feeds'))).toEqual([
      {
        feed: 'https://feeds.example/broetchen.xml',
        title: 'Brötchen um fünf',
        episodes: [
          'https://broetchen.example/sauerteig,https://broetchen.example/sauerteig.mp3',
          'https://broetchen.example/ofen,',
        ],
      },
      {
        feed: 'https://feeds.example/night-trains.xml',
        title: 'Night Trains & Other Ways Home',
        episodes: [
          'nt-3, vienna, bound,https://cdn.night-trains.example/3,take,two.mp3',
          'nt-2,https://cdn.night-trains.example/2.mp3',
          'nt-1,https://cdn.night-trains.example/1.mp3',
        ],
      },
      {
        feed: 'https://feeds.example/pond-report.xml',
        title: 'The Pond Report',
        episodes: [
          'urn:pond:2026-03-08,https://pond.example/2026-03-08.ogg',
          'urn:pond:2026-03-01,https://pond.example/2026-03-01.ogg',
        ],
      },
    ]);
  });

  describe('of another folder', () => {
    const folder = mkdtempSync(join(tmpdir(), 'balados-library-'));
    afterAll(() => rmSync(folder, { recursive: true }));

    it('needs feeds in it, and names the file that is none', () => {
      expect(() => readLibrary(folder)).toThrow(`${folder} holds no .xml files`);
      writeFileSync(join(folder, 'page.xml'), '<html/>');
      expect(() => readLibrary(folder)).toThrow(/page\.xml: <html> is the root of no feed/);
    });
  });
});
