<?php
// The services that people may sign in to, in SimpleSAMLphp's own words. "encryptFor" names a certificate whose owner
// alone can read the assertions.
$folder = getenv('GATEHOUSE_IDP');
$provider = json_decode(file_get_contents("$folder/provider.json"), true, 16, JSON_THROW_ON_ERROR);
foreach ($provider['services'] as $entityID => $service) {
    if (isset($service['encryptFor'])) {
        $text = preg_replace('/-----[A-Z ]+-----|\s/', '', file_get_contents("$folder/" . $service['encryptFor']));
        $service['assertion.encryption'] = true;
        $service['keys'] = [
            ['type' => 'X509Certificate', 'signing' => true, 'encryption' => true, 'X509Certificate' => $text],
        ];
    }
    unset($service['encryptFor']);
    $metadata[$entityID] = $service + ['saml20.sign.response' => true, 'saml20.sign.assertion' => true];
}
