/* @fastify/static requires an ES module, which Node can do, and Jest cannot. So this is the one that Node has loaded. */
const { runInThisContext } = require('node:vm');

const { createRequire } = runInThisContext('process').getBuiltinModule('node:module');
module.exports = createRequire(module.filename)('@fastify/static');
