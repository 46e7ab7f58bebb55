import { splitItem } from '@balados/feeds-ids';

/** An episode as gPodder's apps list it. What nobody knows here is empty: of an episode we keep its addresses, and no title. */
export const listedEpisode = ({ feed, item }: { feed: string; item: string }) => ({
  title: '',
  url: splitItem(item).enclosure,
  podcast_title: '',
  podcast_url: feed,
  description: '',
  website: '',
  released: '',
  mygpo_link: '',
});
