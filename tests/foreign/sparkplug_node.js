// A Sparkplug node made with the npm package sparkplug-client, to be seen by our gateway:
//   node sparkplug_node.js '{"url": …, "ca": …, "cert": …, "key": …, "clientId": …, "group": …, "node": …}'
// Publishes its birth and then a counter and a temperature every 200 ms until it is killed,
// or leaves as its library does it, with stop(), on SIGTERM: a clean DISCONNECT and no NDEATH.
'use strict';

const fs = require('fs');
const { newClient } = require('sparkplug-client');

const options = JSON.parse(process.argv[2]);
const client = newClient({
  serverUrl: options.url,
  username: '',
  password: '',
  groupId: options.group,
  edgeNode: options.node,
  clientId: options.clientId,
  version: 'spBv1.0',
  mqttOptions: {
    ca: fs.readFileSync(options.ca),
    cert: fs.readFileSync(options.cert),
    key: fs.readFileSync(options.key),
    minVersion: 'TLSv1.3',
    // The broker is known by its SPIFFE ID, which this client does not understand; its chain is checked.
    checkServerIdentity: () => undefined,
  },
});

let count = 0;
const metrics = () => [
  { name: 'Counter', type: 'Int32', value: count },
  { name: 'Inputs/Temperature', type: 'Double', value: 20 + count / 10 },
];

client.on('birth', () => client.publishNodeBirth({ timestamp: Date.now(), metrics: metrics() }));
client.on('ncmd', () => client.publishNodeBirth({ timestamp: Date.now(), metrics: metrics() }));
client.on('connect', () => console.log('connected'));
client.on('error', (error) => console.log('error ' + error));
const ticking = setInterval(() => {
  count += 1;
  client.publishNodeData({ timestamp: Date.now(), metrics: metrics() });
}, 200);

process.on('SIGTERM', () => {
  clearInterval(ticking);
  client.stop();
});
