const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');

const version = `${require('@swc/core/package.json').version} ${readFileSync(__filename)}`;
const isTypeScript = (path) => path.endsWith('.ts');
// Static syntax only: a CommonJS file that merely calls import() must stay as it is.
const hasModuleSyntax = (source) =>
  /^\s*(?:import\s*[\w*{'"]|export\s+[\w*{]|export\s*\{)|\bimport\.meta\b/m.test(source);

/** Compiles TypeScript always, and JavaScript only where the file is written as an ES module; what these load later is loaded by require. */
module.exports = {
  canInstrument: false,
  getCacheKey: (source, path) =>
    createHash('sha1').update(version).update(path).update('\0').update(source).digest('hex'),
  process(source, path) {
    if (!isTypeScript(path) && !hasModuleSyntax(source)) return { code: source };
    const { code, map } = transformSync(source, {
      filename: path,
      configFile: false,
      swcrc: false,
      sourceMaps: isTypeScript(path) ? 'inline' : false,
      module: { type: 'commonjs', importInterop: 'node', exportInteropAnnotation: true },
      jsc: {
        target: 'es2023',
        parser: isTypeScript(path) ? { syntax: 'typescript', decorators: true } : { syntax: 'ecmascript' },
        transform: { legacyDecorator: true, decoratorMetadata: true },
      },
    });
    return { code, map };
  },
};
