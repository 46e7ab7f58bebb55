"""Speaks to a server with Debian's mygpoclient, unmodified: a line of JSON in, a call; a line of JSON out, its answer or its error."""
import json
import sys

sys.path.insert(0, sys.argv[1])
from mygpoclient import api, public, simple  # noqa: E402

root, username, password, public_root = sys.argv[2:6]
client = api.MygPodderClient(username, password, root)
lists = simple.SimpleClient(username, password, root)
anybody = public.PublicClient(public_root)


def action_of(told):
    return api.EpisodeAction(*[told.get(key) for key in ('podcast', 'episode', 'action', 'device', 'timestamp', 'started', 'position', 'total')])


def told_of(action):
    return {key: getattr(action, key) for key in ('podcast', 'episode', 'action', 'device', 'timestamp', 'started', 'position', 'total')}


def all_of(entries):
    return [vars(entry) for entry in entries]


CALLS = {
    'tell_device': lambda *a: client.update_device_settings(*a),
    'devices': lambda: [[d.device_id, d.caption, d.type, d.subscriptions] for d in client.get_devices()],
    'change': lambda device, add, remove: vars(client.update_subscriptions(device, add, remove)),
    'changes': lambda device, since: vars(client.pull_subscriptions(device, since)),
    'upload': lambda actions: client.upload_episode_actions([action_of(a) for a in actions]),
    'download': lambda *a: (lambda got: {'actions': [told_of(a) for a in got.actions], 'since': got.since})(client.download_episode_actions(*a)),
    'list': lambda device: lists.get_subscriptions(device),
    'replace': lambda device, urls: lists.put_subscriptions(device, urls),
    'favorites': lambda: all_of(client.get_favorite_episodes()),
    'settings': lambda *a: client.get_settings(*a),
    'set': lambda *a: client.set_settings(*a),
    'suggestions': lambda count: all_of(client.get_suggestions(count)),
    'toplist': lambda count: all_of(anybody.get_toplist(count)),
    'search': lambda query: all_of(anybody.search_podcasts(query)),
    'tags': lambda: all_of(anybody.get_toptags()),
    'tagged': lambda tag: all_of(anybody.get_podcasts_of_a_tag(tag)),
    'podcast': lambda url: vars(anybody.get_podcast_data(url)),
    'episode': lambda podcast, url: vars(anybody.get_episode_data(podcast, url)),
}

for line in sys.stdin:
    name, *args = json.loads(line)
    try:
        print(json.dumps({'answer': CALLS[name](*args)}, default=list), flush=True)
    except Exception as error:  # whatever the client makes of an answer is what the test wants to know
        print(json.dumps({'error': type(error).__name__ + ': ' + str(error)}), flush=True)
