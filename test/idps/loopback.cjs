// Preloaded into servers that would listen on every interface: they listen on this machine only.
const net = require('node:net');

const { prototype } = net.Server;
const own = Object.getOwnPropertyDescriptor(prototype, 'listen').value;

prototype.listen = function (...args) {
  const [first, ...rest] = args;
  if (typeof first === 'number')
    return own.call(this, first, '127.0.0.1', ...rest.filter((arg) => typeof arg !== 'string'));
  if (typeof first === 'object' && first !== null && !first.path)
    return own.call(this, { ...first, host: '127.0.0.1' }, ...rest);
  return own.apply(this, args);
};
