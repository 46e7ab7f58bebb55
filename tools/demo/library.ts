import { distinctEpisodes, itemOf, openFeed } from '@balados/feeds-content';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DemoFailed } from './api';

/** A podcast as the demo's listeners know it. */
export interface Podcast {
  /** URL under which they subscribe. */
  feed: string;
  title: string;
  /** `<guid>,<enclosure>` of each distinct episode. */
  episodes: string[];
}

/** Reads every .xml file of a folder, in order of their names. @throws DemoFailed that names the folder, or the file which is no feed */
export function readLibrary(folder: string): Podcast[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.xml')) : [];
  if (files.length === 0) throw new DemoFailed(`${folder} holds no .xml files`);
  return files.sort().map((file) => {
    try {
      const { feed, items } = openFeed(readFileSync(join(folder, file)));
      return {
        feed: `https://feeds.example/${encodeURIComponent(file)}`,
        title: feed.title ?? file,
        episodes: distinctEpisodes(items).map(itemOf),
      };
    } catch (error) {
      throw new DemoFailed(`${join(folder, file)}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
  });
}
