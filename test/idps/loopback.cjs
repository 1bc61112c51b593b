// Preloaded into servers that would listen on every interface: they listen on this machine only.
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  const [first] = args;
  if (typeof first === 'object' && first !== null && !('path' in first && first.path)) {
    return listen.call(this, { ...first, host: '127.0.0.1' }, ...args.slice(1));
  }
  if (typeof first === 'number') {
    const rest = args.slice(1).filter((arg) => typeof arg !== 'string');
    return listen.call(this, first, '127.0.0.1', ...rest);
  }
  return listen.apply(this, args);
};
