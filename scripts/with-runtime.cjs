'use strict';
/**
 * Runs a TypeScript file on the Node that Carillon needs, on a machine with any Node and npm.
 * Called by the npm scripts. Installs what is missing, says so, never asks. Written for old Nodes: no modern syntax.
 */
var childProcess = require('child_process');
var crypto = require('crypto');
var fs = require('fs');
var path = require('path');

var root = path.join(__dirname, '..');
var stampPath = path.join(root, 'node_modules', '.carillon-install');
var runtime = path.join(
  root,
  'node_modules',
  'node',
  'bin',
  process.platform === 'win32' ? 'node.exe' : 'node',
);
var isWindows = process.platform === 'win32';

function fingerprint() {
  var hash = crypto.createHash('sha256');
  hash.update(fs.readFileSync(path.join(root, 'package.json')));
  hash.update(fs.readFileSync(path.join(root, 'package-lock.json')));
  return hash.digest('hex');
}

function isInstalled() {
  return (
    fs.existsSync(stampPath) && fs.readFileSync(stampPath, 'utf8') === fingerprint() && fs.existsSync(runtime)
  );
}

function npm(args, why) {
  process.stderr.write('carillon: ' + why + ' (npm ' + args.join(' ') + ')\n');
  // Not --omit=dev, also with NODE_ENV=production: the runtime itself is a devDependency.
  var env = Object.assign({}, process.env, {
    NODE_ENV: '',
    npm_config_omit: '',
    npm_config_ignore_scripts: 'false',
  });
  var result = childProcess.spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: isWindows,
    env: env,
  });
  if (result.status !== 0) {
    process.stderr.write('carillon: npm ' + args.join(' ') + ' failed; is the npm registry within reach?\n');
    process.exit(1);
  }
}

function install() {
  // Not `npm ci`: it insists on an entry for every platform, and registries do not always have all of them. The lock
  // file pins what is installed all the same, and --no-save leaves it as it is.
  npm(
    ['install', '--no-save', '--no-fund', '--no-audit', '--loglevel=error'],
    'installing dependencies, this takes a minute the first time',
  );
  if (!fs.existsSync(runtime)) npm(['rebuild', 'node', '--foreground-scripts'], 'fetching the Node runtime');
  if (!fs.existsSync(runtime)) {
    process.stderr.write(
      'carillon: the Node runtime for ' + process.platform + '-' + process.arch + ' could not be installed\n',
    );
    process.exit(1);
  }
  fs.writeFileSync(stampPath, fingerprint());
}

function hasOwnRuntime() {
  // In a container image of the right Node there is nothing to install for production.
  var parts = process.versions.node.split('.').map(Number);
  return (
    process.env.CARILLON_USE_SYSTEM_NODE === 'true' && (parts[0] > 24 || (parts[0] === 24 && parts[1] >= 20))
  );
}

var useSystem = hasOwnRuntime();
if (!useSystem && !isInstalled()) install();

var child = childProcess.spawn(useSystem ? process.execPath : runtime, process.argv.slice(2), {
  cwd: root,
  stdio: 'inherit',
  env: Object.assign({}, process.env, {
    PATH: path.dirname(runtime) + path.delimiter + process.env.PATH,
  }),
});
// The terminal sends Ctrl-C to the child as well; a signal from elsewhere is passed on. main.ts takes both for one.
['SIGINT', 'SIGTERM', 'SIGHUP'].forEach((signal) => {
  process.on(signal, () => {
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
  });
});
child.on('exit', (code, signal) => {
  process.exit(code === null ? 128 + (signal === 'SIGKILL' ? 9 : 15) : code);
});
