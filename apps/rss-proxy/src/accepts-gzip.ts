/** Whether `Accept-Encoding` (RFC 9110 §12.5.3) lets us send gzip; who says nothing gets the document as it is. */
export function acceptsGzip(header: string | string[] | undefined): boolean {
  let any = false;
  for (const part of String(header ?? '').split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
    const refused = parameters.some((each) => /^q=0(?:\.0*)?$/.test(each));
    if (coding === 'gzip' || coding === 'x-gzip') return !refused;
    if (coding === '*') any = !refused;
  }
  return any;
}
