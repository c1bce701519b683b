export { broadcastChannelBackplane, type BroadcastChannelBackplaneOptions } from './broadcast-channel.js';
