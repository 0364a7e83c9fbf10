<?php
// SimpleSAMLphp as the identity provider of tests and of tools/run. The folder that GATEHOUSE_IDP names holds
// provider.json (see there), the keys that it speaks of, and what SimpleSAMLphp writes.
$folder = getenv('GATEHOUSE_IDP');
$provider = json_decode(file_get_contents("$folder/provider.json"), true, 16, JSON_THROW_ON_ERROR);
$config = [
    'baseurlpath' => $provider['origin'] . '/simplesamlphp/',
    'certdir' => "$folder/", 'datadir' => "$folder/", 'tempdir' => "$folder/sessions",
    'loggingdir' => "$folder/", 'logging.handler' => 'file', 'logging.logfile' => 'simplesamlphp.log',
    'logging.level' => 6, 'logging.processname' => 'simplesamlphp', 'statistics.out' => [],
    'metadatadir' => __DIR__ . '/metadata/', 'metadata.sources' => [['type' => 'flatfile']],
    'technicalcontact_name' => 'Lab', 'technicalcontact_email' => 'lab@corp.example', 'timezone' => 'UTC',
    'secretsalt' => 'of no worth outside the lab', 'auth.adminpassword' => bin2hex(random_bytes(16)),
    'showerrors' => true, 'errorreporting' => false, 'admin.checkforupdates' => false, 'trusted.url.domains' => null,
    'enable.saml20-idp' => true, 'module.enable' => ['core' => true, 'exampleauth' => true, 'saml' => true],
    'store.type' => 'phpsession', 'session.phpsession.cookiename' => 'SimpleSAML',
    'session.phpsession.savepath' => "$folder/sessions", 'session.cookie.secure' => true,
    'session.duration' => $provider['sessionSeconds'] ?? 8 * 3600, 'session.cookie.samesite' => null, 'language.cookie.secure' => true,
];
