-- What every list of views in this folder is over.
SET TimeZone = 'Europe/Berlin';
CREATE STREAM s (id BIGINT, g VARCHAR, h INTEGER, i INTEGER, b BIGINT, d DOUBLE, c DECIMAL(10,2), f BOOLEAN,
                 t TIMESTAMP WITH (epoch = 'us'), z TIMESTAMPTZ WITH (epoch = 'us'), tags VARCHAR[]);
CREATE STREAM r (id BIGINT, g VARCHAR, h INTEGER, i INTEGER, b BIGINT, d DOUBLE, c DECIMAL(10,2), f BOOLEAN,
                 t TIMESTAMP WITH (epoch = 'us'), z TIMESTAMPTZ WITH (epoch = 'us'), tags VARCHAR[]);
