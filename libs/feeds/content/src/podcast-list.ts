import { z } from 'zod';
import { writeOpml } from './write-opml';

/** How gPodder's protocol lists podcasts. */
export const LIST_FORMATS = ['json', 'opml', 'txt'] as const;
export type ListFormat = (typeof LIST_FORMATS)[number];
/** Most podcasts that may be asked for, as the protocol has it. */
export const LIST_MAX = 100;

const isFormat = (text: string | undefined): text is ListFormat => (LIST_FORMATS as readonly unknown[]).includes(text);

/** The end of a path that asks for so many podcasts in a format, such as `50.json`. */
export const listFile = z.string().transform((text, context) => {
  const [, digits, format] = /^(\d{1,9})\.([a-z]+)$/.exec(text) ?? [];
  const count = Number(digits);
  if (count >= 1 && count <= LIST_MAX && isFormat(format)) return { count, format };
  context.addIssue({
    code: 'custom',
    message: `is no number from 1 to ${LIST_MAX} with .${LIST_FORMATS.join(' or .')}`,
  });
  return z.NEVER;
});

/** A podcast, and what is known of it. */
export interface ListedPodcast {
  url: string;
  title: string | null;
  author: string | null;
  /** Address of its picture. */
  logo: string | null;
}

/** As gPodder's apps read it. What nobody knows is empty; how many subscribe is told of no podcast, and for that they read 0. */
export const gpodderPodcast = ({ url, title, author, logo }: ListedPodcast) => ({
  url,
  title: title ?? url,
  author: author ?? '',
  description: '',
  website: '',
  subscribers: 0,
  subscribers_last_week: 0,
  mygpo_link: '',
  logo_url: logo,
});

/** A list of podcasts as it is sent. `title` is that of the OPML file. */
export function podcastList(
  format: ListFormat,
  title: string,
  podcasts: readonly ListedPodcast[],
): { type: string; body: string } {
  switch (format) {
    case 'json':
      return { type: 'application/json; charset=utf-8', body: JSON.stringify(podcasts.map(gpodderPodcast)) };
    case 'opml':
      return { type: 'text/x-opml; charset=utf-8', body: [...writeOpml(title, podcasts)].join('') };
    case 'txt':
      return { type: 'text/plain; charset=utf-8', body: podcasts.map(({ url }) => `${url}\n`).join('') };
  }
}
