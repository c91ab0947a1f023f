-- HSETNX of an existing field writes nothing to the disk or to a replica, but Valkey refuses it
-- whenever it refuses an update.
return redis.call('HSETNX', keys.state, 'floor', fn.begin())
