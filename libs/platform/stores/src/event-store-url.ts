/** Options of the client, in small letters without hyphens and underscores, which it does not look at; and what each may be. */
const OPTIONS: Readonly<Record<string, RegExp>> = {
  connectionname: /./,
  defaultdeadline: /^\d+$/,
  discoveryinterval: /^\d+$/,
  gossiptimeout: /^\d+$/,
  keepaliveinterval: /^-?\d+$/,
  keepalivetimeout: /^\d+$/,
  maxdiscoverattempts: /^\d+$/,
  nodepreference: /^(?:leader|follower|random|read[-_]?only[-_]?replica)$/i,
  throwonappendfailure: /^(?:true|false)$/,
  tls: /^(?:true|false)$/,
  tlscafile: /./,
  // False has no effect in this client.
  tlsverifycert: /^true$/,
  usercertfile: /./,
  userkeyfile: /./,
};

const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/**
 * What is wrong with a connection string, without anything of it that could be a part of a password; undefined for one that the client reads.
 * Of what it does not know, the client itself writes the whole string to stderr.
 */
export function flawOfEventStoreUrl(url: string): string | undefined {
  const [, rest] = /^esdb(?:\+discover)?:\/\/(.*)$/s.exec(url.trim().replace(/\/+$/, '')) ?? [];
  if (rest === undefined) return 'must be an esdb:// or esdb+discover:// URL';
  const [credentials, place, ...more] = rest.includes('@') ? rest.split('@') : [undefined, rest];
  if (more.length > 0) return 'has an @ too many: in a password it is written %40';
  if (credentials !== undefined && !isCredentials(credentials))
    return 'needs user:password before its @, percent-encoded';
  const [hosts = '', options, ...furtherOptions] = place!.replace(/\/(?=\?)/, '').split('?');
  if (furtherOptions.length > 0) return 'has a ? too many';
  if (!hosts.split(',').every((host) => HOST.test(host)))
    return 'names no host:port, or several with commas between them';
  for (const option of options?.split('&') ?? []) {
    const [name = '', value = '', ...further] = option.split('=');
    const form = OPTIONS[name.trim().toLowerCase().replace(/[-_]/g, '')];
    if (!form) return `has an option that the client does not know: ${JSON.stringify(name)}`;
    if (further.length > 0 || !form.test(value.trim())) return `has another value for ${name} than the client takes`;
  }
  return undefined;
}

function isCredentials(text: string): boolean {
  try {
    return /^[^:]+:[^:]+$/.test(text) && decodeURIComponent(text) !== '';
  } catch {
    return false;
  }
}
