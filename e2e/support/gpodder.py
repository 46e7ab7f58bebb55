"""A device with Debian's gPodder, unmodified, in place of whose windows this stands: a line of JSON in, a call; a line of JSON out, its answer or its error."""
import json
import logging
import os
import sys
import threading
import time
import types

packages, root, username, password, device, home = sys.argv[1:7]
sys.path.insert(0, packages)
os.environ['GPODDER_HOME'] = home
os.environ['GPODDER_DISABLE_EXTENSIONS'] = 'yes'
answers, sys.stdout = sys.stdout, sys.stderr

import gpodder  # noqa: E402
from gpodder import config, dbsqlite, extensions, model, my  # noqa: E402

settings = config.Config(gpodder.config_file)
settings.mygpo.enabled = True
settings.mygpo.server = root
settings.mygpo.username = username
settings.mygpo.password = password
settings.mygpo.device.uid = device
settings.mygpo.device.caption = 'gPodder on ' + device
settings.mygpo.device.type = 'desktop'
library = model.Model(dbsqlite.Database(gpodder.database_file))
gpodder.user_extensions = extensions.ExtensionManager(types.SimpleNamespace(config=settings, model=library))
client = my.MygPoClient(settings)
client.create_device()

# It goes on after whatever goes wrong, and only logs it.
complaints = []
listening = logging.Handler(logging.WARNING)
listening.emit = lambda record: complaints.append(record.getMessage())
logging.getLogger('gpodder.my').addHandler(listening)


def podcast_of(url):
    """The podcast, which is subscribed to if it was not; its feed, which nobody has, is not fetched."""
    podcast = library.get_podcast(url)
    if podcast is None:
        podcast = model.PodcastChannel(library)
        podcast.url = podcast.title = url
        podcast.download_folder = url.replace('/', '_')
        podcast.save()
    return podcast


def find_episode(podcast_url, episode_url):
    podcast = library.get_podcast(podcast_url)
    return next((each for each in podcast.get_all_episodes() if each.url == episode_url), None) if podcast else None


def know(podcast_url, episode_url):
    """As if the feed had named it."""
    podcast = podcast_of(podcast_url)
    episode = podcast.episode_factory({'url': episode_url, 'guid': episode_url, 'title': episode_url})
    episode.save()
    podcast.get_all_episodes().append(episode)


def subscribe(urls):
    for url in urls:
        podcast_of(url)
    client.on_subscribe(urls)


def unsubscribe(urls):
    for url in urls:
        library.get_podcast(url).delete()
    client.on_unsubscribe(urls)


def play(podcast_url, episode_url, start, end, total):
    episode = find_episode(podcast_url, episode_url)
    episode.total_time, episode.current_position, episode.current_position_updated = total, end, int(time.time())
    episode.playback_mark()
    client.on_playback_full(episode, start, end, total)


def sync():
    """Sends and receives, and does what its main window does with what came."""
    before = threading.enumerate()
    client.flush(now=True)
    for thread in threading.enumerate():
        if thread not in before:
            thread.join()
    if complaints:
        raise Exception('; '.join(complaints))
    rewritten = [(each.old_url, each.new_url) for each in client.get_rewritten_urls()]
    for old, new in rewritten:
        if library.get_podcast(old) is not None:
            library.get_podcast(old).rewrite_url(new)
    received = client.get_received_actions()
    for action in received:
        if action.is_add:
            podcast_of(action.url)
        elif library.get_podcast(action.url) is not None:
            library.get_podcast(action.url).delete()
    client.confirm_received_actions(received)
    client.process_episode_actions(find_episode)
    return {'rewritten': rewritten, 'podcasts': sorted(each.url for each in library.get_podcasts())}


def stands(podcast_url, episode_url):
    episode = find_episode(podcast_url, episode_url)
    return [episode.current_position, episode.total_time, episode.is_new, episode.state == gpodder.STATE_DELETED]


CALLS = {
    'know': know,
    'subscribe': subscribe,
    'unsubscribe': unsubscribe,
    'play': play,
    'delete': lambda *a: client.on_delete([find_episode(*a)]),
    'replace': client.set_subscriptions,
    'sync': sync,
    'stands': stands,
    'devices': client.get_devices,
}

for line in sys.stdin:
    name, *args = json.loads(line)
    try:
        print(json.dumps({'answer': CALLS[name](*args)}), file=answers, flush=True)
    except Exception as error:  # whatever it makes of an answer is what the test wants to know
        print(json.dumps({'error': type(error).__name__ + ': ' + str(error)}), file=answers, flush=True)
